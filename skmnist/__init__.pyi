from . import (
    augmentation as augmentation,
    datasets as datasets,
    export as export,
    model_selection as model_selection,
    neural_network as neural_network,
    preprocessing as preprocessing,
    reporting as reporting,
    stats as stats,
    study as study,
    visualization as visualization,
)
from .augmentation import (
    AugmentedPredictionClassifier as AugmentedPredictionClassifier,
    Distortions as Distortions,
)
from .datasets import (
    fetch_mnist as fetch_mnist,
    find_overlap as find_overlap,
    load_digits_28x28 as load_digits_28x28,
)
from .export import (
    export_model as export_model,
)
from .model_selection import (
    Race as Race,
    Stage as Stage,
    StagedSearchCV as StagedSearchCV,
    best_score as best_score,
    compare_candidates as compare_candidates,
    one_standard_error as one_standard_error,
    prefer as prefer,
    record_scoring as record_scoring,
    significantly_better as significantly_better,
    smallest as smallest,
    within_gap as within_gap,
)
from .neural_network import (
    KerasMLPClassifier as KerasMLPClassifier,
    ValidationEarlyStopping as ValidationEarlyStopping,
    lanes as lanes,
)
from .preprocessing import (
    normalize_digit as normalize_digit,
    read_digit as read_digit,
    read_digits as read_digits,
)
from .reporting import (
    log_search as log_search,
    log_study as log_study,
)
from .stats import (
    Comparison as Comparison,
    compare as compare,
    corrected_resampled_t_test as corrected_resampled_t_test,
    holm as holm,
    mcnemar_test as mcnemar_test,
)
from .study import (
    report_stages as report_stages,
)
from .visualization import (
    FirstLayerDisplay as FirstLayerDisplay,
    FitCurveDisplay as FitCurveDisplay,
    GapDisplay as GapDisplay,
    MisreadDigitsDisplay as MisreadDigitsDisplay,
    StageScoresDisplay as StageScoresDisplay,
)

__version__: str
