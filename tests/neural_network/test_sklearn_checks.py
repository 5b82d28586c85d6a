"""scikit-learn's own checks, in full: no expected failures."""

import pytest
from sklearn.base import is_classifier
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmnist import KerasMLPClassifier, Stage, StagedSearchCV

# No dropout: a mask depends on the position of a row. So a row of weight 2 and two
# equal rows would have different masks.
DEEP = KerasMLPClassifier(
    depth=3,
    widths=(32, 24, 16),
    activations=("relu", "tanh", "sigmoid"),
    initializers=("he_normal", "glorot_uniform", "orthogonal"),
    dropout=(0.0, 0.0, 0.0),
    learning_rate=0.01,
    epochs=40,
)
SEARCH = StagedSearchCV(
    KerasMLPClassifier(
        depth=1, widths=16, learning_rate=0.05, epochs=10, random_state=0
    ),
    [
        Stage("batch", {"batch_size": [16]}),
        Stage("rate", {"learning_rate": [0.05, 0.02]}),
    ],
    cv=2,
)


# A search reports the fits that fail; the checks make them fail.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:Scoring failed:UserWarning")
@pytest.mark.filterwarnings("ignore:One or more of the:UserWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks([KerasMLPClassifier(), DEEP, SEARCH])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_is_a_classifier():
    assert is_classifier(KerasMLPClassifier())


def test_a_number_of_folds_gives_stratified_ones():
    classifier = is_classifier(KerasMLPClassifier())
    assert isinstance(check_cv(5, [0, 1] * 5, classifier=classifier), StratifiedKFold)
