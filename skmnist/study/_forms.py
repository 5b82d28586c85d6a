"""What a saved model knows of its data: how more tables and pictures are read."""

# SPDX-License-Identifier: BSD-3-Clause

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sklearn.utils import Bunch

    from ..datasets._encoder import TableEncoder
    from ..datasets._pictures import PictureForm
    from ..neural_network import KerasMLPClassifier

# Saved with the classifier, as all that it has learned.
_ATTRIBUTE = "data_forms_"


class DataForms(NamedTuple):
    """How data are read for a model.

    Parameters
    ----------
    encoder : TableEncoder or None
        For tables like that of its training; None if there was none.
    label : str or None
        The column of the labels in that table.
    pictures : PictureForm or None
        For pictures; None if they are read as handwritten digits.
    """

    encoder: "TableEncoder | None" = None
    label: str | None = None
    pictures: "PictureForm | None" = None


def keep_forms(classifier: "KerasMLPClassifier", data: "Bunch") -> None:
    """Let a classifier that is to be saved know how its data were read.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A classifier that was fitted to the data.
    data : Bunch
        From `load_dataset`.
    """
    forms: dict[str, Any] = {}
    if data.get("encoder") is not None:
        forms |= {"table": data.encoder.as_dict(), "label": data.label}
    if data.get("pictures") is not None:
        forms["pictures"] = data.pictures.as_dict()
    if forms:
        setattr(classifier, _ATTRIBUTE, forms)


def forms_of(learned: dict[str, Any]) -> DataForms:
    """Return how data are read for a model.

    Parameters
    ----------
    learned : dict
        What the model has learned, by the names of attributes, from `read_archive`.

    Returns
    -------
    forms : DataForms

    Raises
    ------
    AttributeError, KeyError, TypeError, ValueError
        If they are damaged.
    """
    if _ATTRIBUTE not in learned:
        return DataForms()
    # Not at import: who reads digits needs no scikit-learn.
    from ..datasets._encoder import TableEncoder
    from ..datasets._pictures import PictureForm

    forms = learned[_ATTRIBUTE]
    table, pictures = forms.get("table"), forms.get("pictures")
    return DataForms(
        None if table is None else TableEncoder.from_dict(table),
        forms.get("label"),
        None if pictures is None else PictureForm(**pictures),
    )
