from ._artifacts import (
    Evidence as Evidence,
    Predictions as Predictions,
    read_evidence as read_evidence,
)
from ._columns import (
    Candidate as Candidate,
)
from ._config import (
    StudyConfig as StudyConfig,
)
from ._records import (
    BaselineVerdict as BaselineVerdict,
    FinalModel as FinalModel,
    FitCurve as FitCurve,
    StageFinding as StageFinding,
    StudyData as StudyData,
    StudyHeader as StudyHeader,
    StudyStage as StudyStage,
    StudySummary as StudySummary,
    StudyTrial as StudyTrial,
    StudyVerdict as StudyVerdict,
)
from ._run import (
    pin_threads as pin_threads,
    run_study as run_study,
)
from ._status import (
    StudyStatus as StudyStatus,
    study_status as study_status,
)
from ._storage import (
    Study as Study,
    StudyFolderError as StudyFolderError,
    read_study as read_study,
)
from ._trials import (
    read_trials as read_trials,
)
from .presets._full_study import (
    full_stages as full_stages,
)
from .presets._presets import (
    PRESETS as PRESETS,
    accuracy_base_params as accuracy_base_params,
    accuracy_stages as accuracy_stages,
)
from .presets._source_experiment import (
    activation_pairs as activation_pairs,
    as_reported_stages as as_reported_stages,
    initializer_choices as initializer_choices,
    node_distributions as node_distributions,
    quick_stages as quick_stages,
    report_base_params as report_base_params,
    report_stages as report_stages,
)
