"""Stages of a search: what each one tries, checked before the first fit."""

# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from sklearn.model_selection import ParameterGrid, ParameterSampler

from ._race import Race, RaceState
from ._results import same_value, written
from ._rules import Rule, best_score

# A grid or distributions by parameter name; or several of them.
Grid = Mapping[str, Any]
Grids = Grid | Sequence[Grid]


@dataclass(frozen=True, repr=False)
class Stage:
    """One stage of a staged search: what it tries and how it chooses.

    Parameters
    ----------
    name : str
        Name of the stage, unique within a search.
    params : dict, list of dict, or callable
        A grid as for `GridSearchCV` or, with `n_iter`, distributions as for
        `RandomizedSearchCV`. Or a function that returns them: its argument is a dict
        of all parameters of the estimator, as chosen so far.
    n_iter : int, default=None
        Number of candidates to sample. None tries the whole grid; so does a number
        that is not smaller than the grid.
    rule : callable, default=best_score
        ``rule(cv_results) -> index``, which chooses the winner. The table has the rows
        of this stage only. The columns of the metric in use are named
        ``*_test_score``, whichever metric it is. There are three more columns:
        ``n_train`` and ``n_test``, the mean numbers of rows in the parts of a split,
        and ``incumbent``, whether the stage started from the candidate.
    grow : str, default=None
        A parameter of the grid with whole numbers, for example ``"depth"``. After the
        grid the stage tries its next value, with the other parameters that its largest
        value had. It goes on as long as the best candidate at the largest value is
        significantly better than the best one at the value before
        (`significant_gain`).
    max_grow : int, default=8
        Largest number of values to add in this way.
    race : Race or False, default=None
        How the candidates of this stage race over replicates. A `rule` then chooses
        among those that stand. None does what the search says, and False does not
        race.
    cost : float, default=1.0
        How long a fit of this stage takes, beside those of other stages. Stages that
        race share the time of a search by their numbers of candidates, times this.
    priority : float, default=1.0
        What is tried if a search with races has no time for the shortest races of all
        stages: those of the lowest priority are left out, the later ones first.

    Notes
    -----
    A stage is checked when the search is fitted. The grid that a function returns is
    checked as soon as it is returned. If a function puts in another estimator, a later
    stage that searches the parameters of that estimator must be a function too.

    Examples
    --------
    >>> from skmnist import Stage, smallest
    >>> Stage("depth", {"max_depth": [1, 2, 3]}, grow="max_depth").max_grow
    8
    >>> Stage("leaves", lambda chosen: {"max_leaf_nodes": [2 ** chosen["max_depth"]]},
    ...       rule=smallest("max_leaf_nodes", tolerance=0.01)).rule
    smallest(key='max_leaf_nodes', tolerance=0.01)
    """

    name: str
    params: Grids | Callable[[dict[str, Any]], Grids]
    _: KW_ONLY
    n_iter: int | None = None
    rule: Rule = best_score
    grow: str | None = None
    max_grow: int = 8
    race: Race | Literal[False] | None = None
    cost: float = 1.0
    priority: float = 1.0

    def __repr__(self) -> str:
        given = [repr(self.name), written(self.params)]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.kw_only and value != field.default:
                given.append(f"{field.name}={written(value)}")
        return f"Stage({', '.join(given)})"


@dataclass(frozen=True)
class StageResult:
    """The result of a stage: its winner, and the reason of the choice.

    Parameters
    ----------
    name : str
        Name of the stage.
    rule : str
        The rule that chose, as in code.
    reason : str
        Why the rule chose the winner, in one sentence without a full stop.
    indices : tuple of int
        Rows of the stage in ``cv_results_``.
    winner : int
        Row of the winner in ``cv_results_``.
    incumbent : int or None
        Row of the candidate that the stage started from; None in the first stage.
    params : dict
        Parameters that this stage tried, with the values of the winner.
    best_params : dict
        All searched parameters after this stage.
    race : skmnist.model_selection.RaceState or None, default=None
        Who left the race of the stage, when and why; None if it did not race.
    """

    name: str
    rule: str
    reason: str
    indices: tuple[int, ...]
    winner: int
    incumbent: int | None
    params: dict[str, Any]
    best_params: dict[str, Any]
    race: RaceState | None = None


class UnknownParameterError(ValueError):
    """A parameter that the estimator does not have.

    Parameters
    ----------
    name : str
        The name.
    known : dict
        All parameters of the estimator.
    estimator : estimator, default=None
        The estimator. It, or its step that the name belongs to, may give advice.
    """

    def __init__(self, name: str, known: Mapping[str, Any], estimator: object = None):
        self.name = name
        step, _, own = str(name).rpartition("__")
        owner = known.get(step) if step else estimator
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else ""
        if advise := getattr(owner, "_advice_on_name", None):
            hint = advise(own).removesuffix(".") or hint
        hint = f"; {hint}" if hint else ""
        super().__init__(f"the estimator has no parameter {name!r}{hint}")


def settle(
    parameters: Mapping[str, Any], estimator: object, n_samples: int
) -> dict[str, Any]:
    """Return parameters with numbers in place of "auto", where others decide them.

    A rule can then compare the incumbent's `depth` or `batch_size` with those of the
    candidates.

    Parameters
    ----------
    parameters : dict
        All parameters of an estimator.
    estimator : estimator
        The estimator. It and its steps know what "auto" stands for.
    n_samples : int
        Number of rows of the data.

    Returns
    -------
    parameters : dict
        A copy.
    """
    after = dict(parameters)
    for step, part in {"": estimator, **parameters}.items():
        settled = getattr(part, "_settled_params", None)
        if settled is not None:
            start = f"{step}__" if step else ""
            own = {n.removeprefix(start): n for n in parameters if n.startswith(start)}
            values = {name: parameters[full] for name, full in own.items()}
            found = settled(values, n_samples)
            after.update({own[name]: value for name, value in found.items()})
    return after


def check_stages(
    stages: Sequence[Stage], parameters: Mapping[str, Any], estimator: object = None
) -> None:
    """Raise ValueError if a stage is wrong, as far as this is known before the fits.

    Parameters
    ----------
    stages : list of Stage
        The stages of a search.
    parameters : dict
        All parameters of the estimator that is searched.
    estimator : estimator, default=None
        That estimator, which may give advice on a wrong name.

    Raises
    ------
    ValueError
        If a stage is wrong; the message is one line with the name of the stage.
    """
    if not stages:
        raise ValueError("stages is empty; pass at least one Stage")
    earlier = {}
    for stage in stages:
        if not isinstance(stage, Stage):
            raise ValueError(f"stages must hold Stage objects only; got {stage!r}")
        if stage.name in earlier:
            raise ValueError(f"two stages have the name {stage.name!r}")
        _check_fields(stage)
        if not callable(stage.params):
            grids = _check_grids(stage, stage.params)
            _check_names(stage, grids, (parameters, estimator), earlier.values())
        earlier[stage.name] = stage


def candidates_of(
    stage: Stage,
    chosen: Mapping[str, Any],
    random_state: np.random.RandomState,
    estimator: object = None,
) -> tuple[list[dict[str, Any]], int | None]:
    """Return the candidates of a stage.

    Parameters
    ----------
    stage : Stage
        The stage.
    chosen : dict
        All parameters of the estimator, with the values of the incumbent.
    random_state : RandomState
        Source of the samples.
    estimator : estimator, default=None
        The estimator, which may give advice on a wrong name.

    Returns
    -------
    candidates : list of dict
        The parameters that each candidate changes.
    n_possible : int or None
        Number of points of the grid that they were drawn from; None for distributions.

    Raises
    ------
    ValueError
        If the function of the stage fails, or if its grid is wrong.
    """
    params = stage.params
    if callable(params):
        try:
            params = params(dict(chosen))
        except KeyError as error:
            missing = UnknownParameterError(error.args[0], chosen, estimator)
            raise _error(stage, f"its function failed, {missing}") from error
    grids = _check_grids(stage, params)
    candidates, n_possible = _draw(grids, stage.n_iter, random_state)
    for candidate in candidates:
        try:
            overlay(chosen, candidate)
        except UnknownParameterError as error:
            unknown = UnknownParameterError(error.name, chosen, estimator)
            raise _error(stage, unknown) from None
    return candidates, n_possible


def _draw(
    grids: list[dict], n_iter: int | None, random_state: np.random.RandomState
) -> tuple[list[dict[str, Any]], int | None]:
    """Draw candidates, or take the whole grid if it is small enough."""
    n_possible = None
    if not any(hasattr(v, "rvs") for grid in grids for v in grid.values()):
        everything = ParameterGrid(grids)
        n_possible = len(everything)
        if n_iter is None or n_iter >= n_possible:
            return list(everything), n_possible
    return list(ParameterSampler(grids, n_iter, random_state=random_state)), n_possible


def overlay(
    parameters: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters that an estimator has after ``set_params(**changes)``.

    If a change replaces an estimator by another one, the parameters of the new one
    replace the parameters of the old one.

    Parameters
    ----------
    parameters : dict
        What ``get_params(deep=True)`` returns before.
    changes : dict
        The parameters to set.

    Returns
    -------
    parameters : dict
        What ``get_params(deep=True)`` returns after.

    Raises
    ------
    UnknownParameterError
        If the estimator has no such parameter.
    """
    after = dict(parameters)
    for name in sorted(changes, key=lambda name: name.count("__")):
        if name not in after:
            raise UnknownParameterError(name, after)
        after = {n: v for n, v in after.items() if not n.startswith(f"{name}__")}
        after[name] = changes[name]
        after.update(_inner_parameters(name, changes[name]))
    return after


def random_states(parameters: Mapping[str, Any]) -> list[str]:
    """Return the names of those parameters that are a ``random_state``."""
    return [n for n in parameters if n.rpartition("__")[2] == "random_state"]


def carry(carried: dict[str, Any], candidate: dict[str, Any]) -> dict[str, Any]:
    """Add the parameters of a candidate to the parameters chosen so far.

    If the candidate replaces a component, what was chosen for the old one is dropped.
    """
    kept = {
        name: value
        for name, value in carried.items()
        if not any(name.startswith(f"{new}__") for new in candidate)
    }
    return {**kept, **candidate}


def find_same(wanted: dict[str, Any], many: Iterable[dict[str, Any]]) -> int | None:
    """Return the position of the first dict with the same parameters, or None."""
    for position, parameters in enumerate(many):
        if wanted.keys() == parameters.keys() and all(
            _is_same_setting(wanted[name], parameters[name]) for name in wanted
        ):
            return position
    return None


def _is_same_setting(a: object, b: object) -> bool:
    if hasattr(a, "get_params") and hasattr(b, "get_params"):
        return type(a) is type(b)  # their parameters have entries of their own
    return same_value(a, b)


def _inner_parameters(name: str, value: object) -> dict[str, Any]:
    if isinstance(value, type) or not hasattr(value, "get_params"):
        return {}
    return {f"{name}__{inner}": v for inner, v in value.get_params().items()}


def _error(stage: Stage, message: object) -> ValueError:
    return ValueError(f"stage {stage.name!r}: {message}")


def _check_fields(stage: Stage) -> None:
    if not (isinstance(stage.name, str) and stage.name):
        raise ValueError(f"the name of a stage must be a text; got {stage.name!r}")
    if not callable(stage.rule):
        raise _error(stage, f"rule must be a function; got {stage.rule!r}")
    for field in ("n_iter", "max_grow"):
        value = getattr(stage, field)
        is_count = isinstance(value, Integral) and not isinstance(value, bool)
        if not (is_count and value > 0 or value is None and field == "n_iter"):
            raise _error(stage, f"{field} must be a positive number; got {value!r}")
    if not (stage.race is None or stage.race is False or isinstance(stage.race, Race)):
        raise _error(stage, f"race must be a Race or False; got {stage.race!r}")
    for field in ("cost", "priority"):
        value = getattr(stage, field)
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not (is_number and 0 < value < float("inf")):
            raise _error(stage, f"{field} must be a positive number; got {value!r}")
    if stage.grow is not None and stage.n_iter is not None:
        raise _error(stage, "grow needs a grid; leave out n_iter")


def _check_grids(stage: Stage, params: object) -> list[dict[str, Any]]:
    """Check a grid or distributions, and return them as a list of dict."""
    grids = [params] if isinstance(params, Mapping) else params
    if not isinstance(grids, list | tuple) or not all(
        isinstance(grid, Mapping) for grid in grids
    ):
        raise _error(
            stage,
            "params must be a dict, a list of dicts or a function that returns one; "
            f"got {params!r}",
        )
    grids = [dict(grid) for grid in grids]
    if not any(grids):
        raise _error(stage, "the grid is empty")
    try:
        _check_values(stage, grids)
    except (TypeError, ValueError) as error:
        raise _error(stage, error) from None
    return grids


def _check_values(stage: Stage, grids: list[dict[str, Any]]) -> None:
    sampled = [v for grid in grids for v in grid.values() if hasattr(v, "rvs")]
    if stage.n_iter is None and sampled:
        raise ValueError("a distribution needs n_iter, the number of samples")
    # scikit-learn's own check, with each distribution replaced by one value.
    grid = ParameterGrid(
        [{n: [v] if hasattr(v, "rvs") else v for n, v in g.items()} for g in grids]
    )
    if stage.grow is not None:
        values = [point[stage.grow] for point in grid if stage.grow in point]
        if not all(isinstance(v, Integral) for v in values) or len(set(values)) < 2:
            raise ValueError(
                f"grow={stage.grow!r} needs two or more whole numbers of it in the grid"
            )


def _check_names(
    stage: Stage,
    grids: list[dict[str, Any]],
    searched: tuple[Mapping[str, Any], object],
    earlier: Iterable[Stage],
) -> None:
    """Raise ValueError if a name cannot be a parameter, whatever earlier stages do."""
    parameters, estimator = searched
    replaced = tuple(f"{name}__" for other in earlier for name in _searched(other))
    for grid in grids:
        known = dict(parameters)
        for name, values in grid.items():
            for value in [] if hasattr(values, "rvs") else values:
                known.update(_inner_parameters(name, value))
        for name in grid:
            if name not in known and not name.startswith(replaced):
                raise _error(stage, UnknownParameterError(name, known, estimator))


def _searched(stage: Stage) -> set[str]:
    """Return the parameters that a stage searches, as far as this is known now."""
    if callable(stage.params):
        return set()
    grids = [stage.params] if isinstance(stage.params, Mapping) else stage.params
    return {name for grid in grids for name in grid}
