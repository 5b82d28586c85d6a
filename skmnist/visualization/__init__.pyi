from ._digits import (
    FirstLayerDisplay as FirstLayerDisplay,
    MisreadDigitsDisplay as MisreadDigitsDisplay,
)
from ._fit_curve import (
    FitCurveDisplay as FitCurveDisplay,
)
from ._search import (
    GapDisplay as GapDisplay,
    StageScoresDisplay as StageScoresDisplay,
)
