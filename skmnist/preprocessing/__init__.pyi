from ._binarize import (
    PictureError as PictureError,
)
from ._digit import (
    normalize_digit as normalize_digit,
    read_digit as read_digit,
)
