"""Answers to who gives `KerasMLPClassifier` the parameters of `MLPClassifier`."""

# SPDX-License-Identifier: BSD-3-Clause

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, TypeVar

from sklearn.base import BaseEstimator

from ._spec import did_you_mean

_Init = TypeVar("_Init", bound=Callable[..., None])

# Parameters of MLPClassifier that have another name here.
OUR_NAMES = {
    "hidden_layer_sizes": "widths",
    "activation": "activations",
    "solver": "optimizer",
    "alpha": "weight_decay",
    "learning_rate_init": "learning_rate",
    "max_iter": "epochs",
    "tol": "min_delta",
    "validation_fraction": "validation_split",
    "n_iter_no_change": "patience",
}

# What else to know about some of them.
_DIFFERENCES = {
    "solver": "It takes 'adam', 'sgd' and other names of Keras; there is no 'lbfgs'.",
    "alpha": "It is a decoupled decay and no L2 penalty, so it needs another value.",
    "tol": "It has an effect with early stopping only.",
    "n_iter_no_change": "It has an effect with early stopping only.",
}

_SGD = "Pass a Keras optimizer: optimizer=keras.optimizers.SGD(momentum=0.9{})."
_ADAM = "Pass a Keras optimizer: optimizer=keras.optimizers.Adam({})."

# The other parameters of MLPClassifier that we do not have.
_INSTEAD = {
    "power_t": "KerasMLPClassifier has no 'invscaling'. Set learning_rate_schedule to "
    "'linear' or 'cosine' for a learning rate that falls.",
    "shuffle": "KerasMLPClassifier always shuffles the rows. Leave it out.",
    "momentum": _SGD.format(""),
    "nesterovs_momentum": _SGD.format(", nesterov=True"),
    "beta_1": _ADAM.format("beta_1=0.9"),
    "beta_2": _ADAM.format("beta_2=0.999"),
    "epsilon": _ADAM.format("epsilon=1e-8"),
    "max_fun": "KerasMLPClassifier has no 'lbfgs', to which this belongs. Set epochs "
    "to limit the training.",
}

_SCHEDULE = (
    "Here learning_rate is a number, which MLPClassifier calls 'learning_rate_init'. "
    "Set learning_rate_schedule to choose how it changes: 'constant', 'linear' or "
    "'cosine'."
)
# Values that MLPClassifier takes for a name that we have too, and we do not.
_VALUES = {
    ("learning_rate", "constant"): _SCHEDULE,
    ("learning_rate", "invscaling"): _SCHEDULE,
    ("learning_rate", "adaptive"): _SCHEDULE,
    ("batch_size", "auto"): "Set it to a number of rows. MLPClassifier's 'auto' is "
    "200, or all rows if there are fewer.",
}


def advice_on_name(name: str) -> str:
    """Return what to write in place of a parameter of `MLPClassifier`.

    Parameters
    ----------
    name : str
        The name of a parameter that `KerasMLPClassifier` does not have.

    Returns
    -------
    advice : str
        One or two sentences; empty if `MLPClassifier` has no such parameter.

    Examples
    --------
    >>> from skmnist.neural_network._mlp_names import advice_on_name
    >>> advice_on_name("hidden_layer_sizes")
    "KerasMLPClassifier calls this 'widths'."
    """
    if name in OUR_NAMES:
        ours = f"KerasMLPClassifier calls this {OUR_NAMES[name]!r}."
        return " ".join([ours, *([_DIFFERENCES[name]] if name in _DIFFERENCES else [])])
    return _INSTEAD.get(name, "")


def advice_on_names(names: Iterable[str], known: Iterable[str]) -> str:
    """Return advice on the first of some names that is not known.

    Parameters
    ----------
    names : iterable of str
        The names that were given.
    known : iterable of str
        The names of all parameters.

    Returns
    -------
    advice : str
        Begins with a space: what to write in place of a parameter of `MLPClassifier`,
        or a parameter with a similar name. Empty if there is neither.
    """
    names, known = list(names), list(known)
    advice = advice_on_name(next((n for n in names if n not in known), ""))
    return f" {advice}" if advice else did_you_mean(names, known)


def advice_on_value(message: str, params: Mapping[str, Any]) -> str:
    """Return advice on a value that only `MLPClassifier` takes.

    Parameters
    ----------
    message : str
        The message of scikit-learn, which names the wrong parameter.
    params : dict
        All parameters.

    Returns
    -------
    advice : str
        Begins with a space; empty if there is no advice.
    """
    for (name, value), advice in _VALUES.items():
        given = params[name]
        if isinstance(given, str) and given == value and f"The {name!r} " in message:
            return f" {advice}"
    return ""


class AdviceMixin(BaseEstimator):
    """Gives advice where a name or a value is `MLPClassifier`'s."""

    # Says the same to a search.
    _advice_on_name = staticmethod(advice_on_name)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and suggest a name if there is none of that name.

        Parameters
        ----------
        **params : dict
            Parameters of this classifier.

        Returns
        -------
        self : KerasMLPClassifier
            The classifier.

        Raises
        ------
        ValueError
            If there is no parameter of that name.
        """
        try:
            return super().set_params(**params)
        except ValueError as error:
            advice = advice_on_names(params, self.get_params(deep=False))
            raise ValueError(f"{error}{advice}") from None

    def _validate_params(self):
        try:
            super()._validate_params()
        except ValueError as error:
            advice = advice_on_value(str(error), self.get_params(deep=False))
            raise type(error)(f"{error}{advice}") from None


def with_advice(init: _Init) -> _Init:
    """Let a constructor give advice on a name that is not one of its parameters.

    Parameters
    ----------
    init : callable
        An ``__init__``. Its signature stays.

    Returns
    -------
    init : callable
        Raises TypeError with advice on a wrong name, else does the same.
    """
    known = inspect.signature(init).parameters

    @functools.wraps(init)
    def advising(self, *args, **kwargs):
        advice = advice_on_names(kwargs, known)
        if advice:
            wrong = next(name for name in kwargs if name not in known)
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword argument "
                f"{wrong!r}.{advice}"
            )
        init(self, *args, **kwargs)

    return advising
