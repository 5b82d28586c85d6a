from ._encoder import TableEncoder as TableEncoder
from ._loaders import (
    DataError as DataError,
    DataNotFoundError as DataNotFoundError,
    check_digits as check_digits,
    fetch_mnist as fetch_mnist,
    load_digits_28x28 as load_digits_28x28,
    load_npz as load_npz,
)
from ._overlap import (
    find_overlap as find_overlap,
)
from ._registry import (
    load_dataset as load_dataset,
)
