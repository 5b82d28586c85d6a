"""The only file that names what scikit-learn and Keras keep private."""

# SPDX-License-Identifier: BSD-3-Clause

import re
import time
import warnings
from contextlib import contextmanager

from sklearn.base import _fit_context, clone, is_classifier
from sklearn.callback._transport import close_listener, open_listener, send
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _fit_and_score,
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import indexable
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params, _check_sample_weight

__all__ = [
    "BaseSearchCV",
    "ChoosingSearchCV",
    "HasMethods",
    "Interval",
    "StrOptions",
    "WeightBlindScorer",
    "_check_sample_weight",
    "_fit_and_score",
    "_fit_context",
    "_insert_error_scores",
    "_safe_split",
    "_warn_or_raise_about_fit_failures",
    "cause_of_failure",
    "close_listener",
    "metric_names",
    "open_listener",
    "send",
    "standing_in",
    "sum_gradients_nowhere",
]


def sum_gradients_nowhere(optimizer):
    """Have a Keras optimizer take its gradients as they are.

    It would sum them over the replicas of a distribution. Even where there is one,
    TensorFlow notes for ever how to differentiate that sum, and with it every tensor
    of the program that is being traced: several MB for each program.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        An optimizer that nobody else uses.
    """
    optimizer._all_reduce_sum_gradients = list


@contextmanager
def standing_in(variables, others):
    """Let Keras variables read and write others, while a program is traced.

    Keras' layers and optimizers use the variables they made; so a program of
    theirs serves one network. With stand-ins, which are arguments of the program,
    it serves every network of that structure.

    Parameters
    ----------
    variables : list of keras.Variable
        The variables of layers and optimizer.
    others : list of tf.Variable or tf.Tensor
        What they shall mean for now, of the same shapes and types.
    """
    own = [variable.value for variable in variables]
    for variable, mine, other in zip(variables, own, others, strict=True):
        if hasattr(other, "_unique_id"):
            # Keras' optimizers find their state by the weight's identity.
            other._unique_id = mine._unique_id
        variable._value = other
    try:
        yield
    finally:
        for variable, mine in zip(variables, own, strict=True):
            variable._value = mine


class WeightBlindScorer:
    """A scorer that may be handed sample weights and has no use for them.

    scikit-learn asks each scorer of a multi-metric search whether it takes
    weights; a plain function cannot answer and makes ``fit`` fail.
    """

    def _accept_sample_weight(self):
        return True


class ChoosingSearchCV(BaseSearchCV):
    """A `BaseSearchCV` that chooses its winner while it searches.

    A subclass evaluates its candidates itself: ``_search_stages(X, y, scorers,
    fit_params, score_params, callback_ctx)`` returns ``cv_results_`` and the scores
    of the first fit, and sets ``best_index_``, ``best_params_`` and ``best_score_``.
    It says in ``choose_metric(names)`` which of several metrics decides.
    """

    @_fit_context(
        # The estimator that is searched is not validated yet.
        prefer_skip_nested_validation=False
    )
    def fit(self, X, y=None, **params):
        """Search, and fit the winner; in scikit-learn's order of things."""
        scorers, _ = self._get_scorers()
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        weights = params.get("sample_weight")
        metadata = None if weights is None else {"sample_weight": weights}
        shown = {"estimator": self, "X": X, "y": y, "metadata": metadata}
        context = self._init_callback_context(
            max_subtasks=1 + (self.refit is not False)
        ).call_on_fit_task_begin(**shown)
        self._checked_cv_orig = check_cv(
            self.cv, y, classifier=is_classifier(self.estimator)
        )
        split_params = routed.splitter.split
        self._check_input_parameters(X=X, y=y, split_params=split_params)
        self.n_splits_ = self.checked_cv.get_n_splits(X, y, **split_params)
        self.cv_results_, scores = self._search_stages(
            X,
            y,
            scorers,
            fit_params=routed.estimator.fit,
            score_params=routed.scorer.score,
            split_params=split_params,
            callback_ctx=context,
        )
        # Of a callable only its first result tells.
        self.multimetric_ = isinstance(scores, dict)
        if self.refit:
            refit = context.subcontext(task_name="refit-with-best-params")
            self._refit(shown, routed.estimator.fit, refit)
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        context.call_on_fit_task_end(**shown)
        return self

    def _refit(self, shown, fit_params, context):
        """Fit the winner on all data."""
        # The parameters too: they may be estimators themselves.
        best = clone(self.best_params_, safe=False)
        self.best_estimator_ = clone(self.estimator).set_params(**best)
        given = [shown["X"]] if shown["y"] is None else [shown["X"], shown["y"]]
        with context.propagate_callback_context(self.best_estimator_):
            context.call_on_fit_task_begin(**shown)
            started = time.time()
            self.best_estimator_.fit(*given, **fit_params)
            self.refit_time_ = time.time() - started
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
        context.call_on_fit_task_end(**shown)

    def _run_search(self, evaluate_candidates, *, callback_ctx=None):
        raise NotImplementedError("_search_stages takes its place")

    @property
    def checked_cv(self):
        """The splitter in use, made by ``check_cv``; only during ``fit``."""
        return self._checked_cv_orig

    def _get_scorers(self):
        scorers, metric = super()._get_scorers()
        if isinstance(scorers, _MultimetricScorer):
            metric = self.choose_metric(list(scorers._scorers))
        return scorers, metric

    def _check_refit_for_multimetric(self, scores):
        self.choose_metric(list(scores))

    def _format_results(self, candidate_params, n_splits, out, more_results=None):
        errors = [row["fit_error"] for row in out if row["fit_error"]]
        self._last_failure = _named_error(errors[-1]) if errors else None
        # scikit-learn warns of NaN once per column and per call, about all rows
        # so far; the subclass warns once, about the new rows.
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", r"One or more of the (test|train) scores are non-finite"
            )
            return super()._format_results(
                candidate_params, n_splits, out, more_results
            )

    @property
    def last_failure(self):
        """What the last fit that failed raised, in one line, or None."""
        return getattr(self, "_last_failure", None)


def metric_names(scorers):
    """List the metrics that scorers compute; None where only a fit will tell."""
    return list(getattr(scorers, "_scorers", ())) or None


def cause_of_failure(error):
    """Find what made all fits of a search fail.

    Parameters
    ----------
    error : ValueError
        What the search raised.

    Returns
    -------
    cause : str or None
        The line of the traceback that names the exception; None where `error`
        is something else.
    """
    text = str(error)
    if not re.match(r"\s*All the \d+ fits failed", text):
        return None
    return _named_error(text.split("fits failed with the following error:")[1])


def _named_error(traceback):
    """Find the line of a traceback that names the exception."""
    named = re.findall(r"^\w[\w.]*(?:Error|Exception|Warning)\b.*$", traceback, re.M)
    return named[-1] if named else traceback.strip().splitlines()[-1]
