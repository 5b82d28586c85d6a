from ._classifier import (
    KerasMLPClassifier as KerasMLPClassifier,
)
from ._early_stopping import (
    StopDecision as StopDecision,
    decide_stop as decide_stop,
    split_validation as split_validation,
)
from ._persistence import (
    ModelFileError as ModelFileError,
)
from .engines._lanes import (
    lanes as lanes,
)
from .keras_side._callbacks import (
    ValidationEarlyStopping as ValidationEarlyStopping,
)
from .keras_side._compiled import (
    clear_engines as clear_engines,
)
