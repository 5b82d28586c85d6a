from ._evaluation import (
    Trial as Trial,
)
from ._executors import (
    ClusterError as ClusterError,
)
from ._progress import (
    SearchProgress as SearchProgress,
)
from ._race import (
    Finish as Finish,
    Race as Race,
    RaceState as RaceState,
)
from ._rules import (
    best_score as best_score,
    explain as explain,
    one_standard_error as one_standard_error,
    prefer as prefer,
    significantly_better as significantly_better,
    smallest as smallest,
    within_gap as within_gap,
)
from ._runner import (
    AllFailedError as AllFailedError,
)
from ._scoring import (
    record_scoring as record_scoring,
)
from ._search import (
    StagedSearchCV as StagedSearchCV,
)
from ._significance import (
    compare_candidates as compare_candidates,
    significant_gain as significant_gain,
    table_verdict as table_verdict,
)
from ._stage import (
    Stage as Stage,
    StageResult as StageResult,
)
