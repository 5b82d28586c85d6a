"""scikit-learn's own checks, in full: no expected failures."""

import re

import pytest
from sklearn.base import is_classifier
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)

from skmnist import KerasMLPClassifier, Stage, StagedSearchCV

# The defaults, but for the number of epochs, which is 400 for few rows. That it is the
# same for any few rows, test_defaults.py shows.
PLAIN = KerasMLPClassifier(epochs=15)
# A value per layer matters to the checks of parameters, of copies and of repeated fits,
# not to those of data. No dropout: a mask depends on the position of a row. So a row of
# weight 2 and two equal rows would have different masks.
ABOUT = re.compile("param|clone|repr|pickle|unchanged|idempotent|weight_equivalence")
DEEP = KerasMLPClassifier(
    widths=(32, 24, 16),
    activations=("relu", "tanh", "sigmoid"),
    initializers=("he_normal", "glorot_uniform", "orthogonal"),
    dropout=(0.0, 0.0, 0.0),
    learning_rate=0.01,
    learning_rate_schedule="constant",
    epochs=3,
)
# The smallest network that learns what the checks ask for: no hidden layer, and as few
# operations in its program as can be, of which one is made for each shape of data.
SEARCH = StagedSearchCV(
    KerasMLPClassifier(
        depth=0,
        optimizer="sgd",
        learning_rate_schedule="constant",
        label_smoothing=0.0,
        weight_decay=0.0,
        epochs=10,
        random_state=0,
    ),
    [Stage("rate", {"learning_rate": [1.0, 0.5]})],
    cv=2,
)


@pytest.mark.slow
@parametrize_with_checks([PLAIN])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        check
        for _, check in estimator_checks_generator(DEEP)
        if ABOUT.search(check.func.__name__)
    ],
    ids=lambda check: check.func.__name__,
)
def test_scikit_learn_checks_of_a_value_per_layer(check):
    check(DEEP)


# The checks of a search over another estimator are among the tests of the search.
# A search reports the fits that fail; the checks make them fail.
@pytest.mark.long
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:Scoring failed:UserWarning")
@pytest.mark.filterwarnings("ignore:One or more of the:UserWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks([SEARCH])
def test_scikit_learn_checks_of_a_search(estimator, check):
    check(estimator)


def test_is_a_classifier():
    assert is_classifier(KerasMLPClassifier())


def test_a_number_of_folds_gives_stratified_ones():
    classifier = is_classifier(KerasMLPClassifier())
    assert isinstance(check_cv(5, [0, 1] * 5, classifier=classifier), StratifiedKFold)
