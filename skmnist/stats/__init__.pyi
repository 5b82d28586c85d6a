from ._compare import (
    compare as compare,
    holm as holm,
    stage_significance as stage_significance,
)
from ._standard_error import (
    binomial_standard_error as binomial_standard_error,
)
from ._tests import (
    Comparison as Comparison,
    corrected_resampled_t_test as corrected_resampled_t_test,
    mcnemar_test as mcnemar_test,
)
