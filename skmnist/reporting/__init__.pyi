from ._html import (
    write_report as write_report,
)
from ._source_report import (
    reported_rows as reported_rows,
)
from ._tensorboard import (
    LoggedRun as LoggedRun,
    log_search as log_search,
    log_study as log_study,
)
from ._text import (
    to_markdown as to_markdown,
)
