from ._compare import (
    StageVerdict as StageVerdict,
    compare as compare,
    compare_scores as compare_scores,
    holm as holm,
    stage_significance as stage_significance,
    stage_verdict as stage_verdict,
)
from ._replicates import (
    ReplicateComparison as ReplicateComparison,
    compare_on_replicates as compare_on_replicates,
)
from ._standard_error import (
    binomial_standard_error as binomial_standard_error,
)
from ._tests import (
    Comparison as Comparison,
    corrected_resampled_t_test as corrected_resampled_t_test,
    mcnemar_test as mcnemar_test,
    mcnemar_test_from_counts as mcnemar_test_from_counts,
    runs_test as runs_test,
    two_proportions_test as two_proportions_test,
)
