from ._drawing import (
    write_drawing_page as write_drawing_page,
)
from ._html import (
    to_html as to_html,
    write_report as write_report,
)
from ._source_report import (
    ReportedRow as ReportedRow,
    reported_rows as reported_rows,
    to_reproduction as to_reproduction,
)
from ._tensorboard import (
    LoggedRun as LoggedRun,
    log_search as log_search,
    log_study as log_study,
)
from ._text import (
    Table as Table,
    describe_final as describe_final,
    markdown_table as markdown_table,
    overview_table as overview_table,
    to_markdown as to_markdown,
)
