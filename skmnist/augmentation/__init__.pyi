from ._distortions import (
    Distortions as Distortions,
)
from ._test_time import (
    AugmentedPredictionClassifier as AugmentedPredictionClassifier,
)
