from ._binarize import (
    PictureError as PictureError,
)
from ._digit import (
    normalize_digit as normalize_digit,
    read_digit as read_digit,
    read_digits as read_digits,
)
