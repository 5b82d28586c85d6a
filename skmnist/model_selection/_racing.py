"""A race of a search's candidates: its seeds and splits, its fits, and its words."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.model_selection import ParameterGrid

from ._evaluation import BudgetSpentError, Raced, Replicate
from ._pace import FEWEST
from ._race import (
    FAILED,
    IDLE,
    STOOD,
    TIME,
    WORSE,
    Finish,
    Race,
    RaceState,
    Replicates,
    join,
    judge,
    judge_rung,
    next_replicates,
    stop,
)
from ._results import RACE_COLUMNS, ROUNDING, Words
from ._rules import best_score
from ._scoring import deciding_metric
from ._stage import Stage, UnknownParameterError, random_states

if TYPE_CHECKING:
    from sklearn.callback import CallbackContext

    from ._evaluation import Evaluation

# Learned numbers of a classifier that can break ties.
MEASURED = ("n_parameters", "n_iter")
# What breaks ties in favour of what the stages before have chosen.
INCUMBENT = "incumbent"


class RaceTooLongError(BudgetSpentError):
    """`max_fits` of a race is too small for its first look.

    Parameters
    ----------
    n_needed : int
        Number of fits before the first look.
    max_fits : int
        The limit.
    """

    def __init__(self, n_needed: int, max_fits: int):
        Exception.__init__(
            self,
            f"max_fits={max_fits} is too small for a race: the first look needs "
            f"{n_needed} fits",
        )


def race_of(stage: Stage, search: Any) -> Race | None:
    """Return how a stage of a search races; None if it does not."""
    if stage.race is None:
        return search.race
    return stage.race or None


@dataclass(frozen=True)
class SplitPlan:
    """Which splits choose, and which give the winner's score.

    Parameters
    ----------
    choosing : tuple of int
        Numbers of the splits that choose.
    fresh : tuple of int
        Numbers of the others; empty if there are too few.
    """

    choosing: tuple[int, ...]
    fresh: tuple[int, ...]

    @classmethod
    def of(cls, n_splits: int) -> SplitPlan:
        """Keep the last fifth for the winner, if there are three or more splits."""
        n_fresh = max(1, n_splits // 5) if n_splits > 2 else 0
        numbers = tuple(range(n_splits))
        return cls(numbers[: n_splits - n_fresh], numbers[n_splits - n_fresh :])


def check_races(
    search: Any, evaluation: Evaluation, parameters: Mapping[str, Any]
) -> None:
    """Raise ValueError if a stage cannot race, as far as this is known before the fits.

    Parameters
    ----------
    search : StagedSearchCV
        The search.
    evaluation : Evaluation
        Its fits.
    parameters : dict
        All parameters of the estimator that is searched.
    """
    for stage in search.stages:
        race = race_of(stage, search)
        if race is None:
            continue
        try:
            _check_stage(stage, race, parameters)
            _check_replicates(race, search, evaluation, parameters)
        except ValueError as error:
            raise ValueError(f"stage {stage.name!r}: {error}") from None


def _check_stage(stage: Stage, race: Race, parameters: Mapping[str, Any]) -> None:
    searched = {name: None for grid in _grids(stage) for name in grid}
    known = {**parameters, **searched, **dict.fromkeys((*MEASURED, INCUMBENT))}
    for name in race.ties:
        if name not in known:
            raise ValueError(f"ties of the race: {UnknownParameterError(name, known)}")
    if race.rungs and race.resource not in {**parameters, **searched}:
        unknown = UnknownParameterError(race.resource, {**parameters, **searched})
        raise ValueError(f"resource of the race: {unknown}")
    for name in random_states(searched):
        raise ValueError(f"a race sets {name} itself, so no stage can search it")
    n = n_candidates_of(stage)
    if n is not None and race.max_fits and race.n_needed(n) > race.max_fits:
        raise ValueError(RaceTooLongError(race.n_needed(n), race.max_fits))


def _grids(stage: Stage) -> Sequence[Mapping[str, Any]]:
    if callable(stage.params):
        return []
    return [stage.params] if isinstance(stage.params, Mapping) else stage.params


def n_candidates_of(stage: Stage) -> int | None:
    """Return how many candidates a stage has; None if a function decides it."""
    grids = _grids(stage)
    if not grids:
        return None
    if any(hasattr(values, "rvs") for grid in grids for values in grid.values()):
        return stage.n_iter
    n = len(ParameterGrid(list(grids)))
    return n if stage.n_iter is None else min(n, stage.n_iter)


def _check_replicates(
    race: Race, search: Any, evaluation: Evaluation, parameters: Mapping[str, Any]
) -> None:
    plan = SplitPlan.of(evaluation.n_splits)
    n = len(plan.choosing)
    seeded = bool(random_states(parameters))
    if not seeded and race.max_replicates > n:
        raise ValueError(
            f"{race.max_replicates} replicates on {n} "
            f"split{'s' if n > 1 else ''} need an estimator with a random_state: "
            "without one, every fit on a split is the same; give cv more splits, or "
            f"set max_replicates of the race to {n} or less"
        )
    if seeded and search.random_state is None and _own_seed(parameters) is None:
        raise ValueError(
            "a race needs a random state, so that its replicates can be made again; "
            "pass random_state=0 to the search"
        )
    scoring = search.scoring
    is_other = isinstance(scoring, str) and scoring != "accuracy"
    if n == 1 and (is_other or not is_classifier(evaluation.estimator)):
        raise ValueError(_ONE_SPLIT)


_ONE_SPLIT = (
    "a race on one split needs the accuracy of a classifier as its score: only the "
    "rows show then what other rows would change; give cv three or more splits"
)


def _own_seed(parameters: Mapping[str, Any]) -> int | None:
    """Return the first seed that the estimator has been given."""
    seeds = [parameters[name] for name in random_states(parameters)]
    return next((int(seed) for seed in seeds if isinstance(seed, Integral)), None)


def seed_of_races(
    random_state: int | np.random.RandomState | None, parameters: Mapping[str, Any]
) -> int | None:
    """Return the number that the seeds of all replicates are derived from.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        That of the search; None takes the seed of the estimator.
    parameters : dict
        All parameters of the estimator.

    Returns
    -------
    seed : int or None
        None if the estimator has no ``random_state``.
    """
    if not random_states(parameters):
        return None
    if random_state is None:
        return _own_seed(parameters)
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(random_state.randint(2**31 - 1))


class Racing:
    """A stage while it races.

    Parameters
    ----------
    evaluation : Evaluation
        Fits and scores.
    stage : Stage
        The stage.
    race : Race
        How it races.
    candidates : list of dict
        Parameters of the candidates, with what earlier stages chose.
    effective : list of dict
        All parameters of the estimator, as each candidate has them, and whether it is
        not the incumbent.
    seed : tuple of int or None
        Source of the seeds; None if the estimator has no ``random_state``.
    callback_ctx : CallbackContext
        The task of scikit-learn's callbacks that the fits are parts of.

    Attributes
    ----------
    seconds : float or None
        How long to race; the first look is made in any case.

    Raises
    ------
    RaceTooLongError
        If `max_fits` is too small.
    ValueError
        If a parameter that breaks ties is no number.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        stage: Stage,
        race: Race,
        candidates: Sequence[dict[str, Any]],
        effective: Sequence[Mapping[str, Any]],
        *,
        seed: tuple[int, int] | None,
        callback_ctx: CallbackContext,
    ):
        self.evaluation, self.stage, self.race = evaluation, stage, race
        self.candidates, self.effective = list(candidates), list(effective)
        self.seed, self.callback_ctx = seed, callback_ctx
        self.seconds: float | None = None
        self.started = time.monotonic()
        self.by_rule = stage.rule is not best_score
        self.plan = SplitPlan.of(evaluation.n_splits)
        self.state = RaceState.start(len(candidates))
        self.answers: list[list[tuple[dict, dict]]] = [[] for _ in candidates]
        self.fresh: list[tuple[dict, dict]] = []
        self.values = [self._parameters(name) for name in race.ties]
        # Rungs that are still to be climbed, and their fits of candidates that stayed.
        self.rungs, self.n_rung_fits = list(race.rungs), 0
        n_needed = race.n_needed(len(candidates))
        if race.max_fits and n_needed > race.max_fits:
            raise RaceTooLongError(n_needed, race.max_fits)

    @property
    def n_fits(self) -> int:
        """Number of fits that choose, so far."""
        return self.n_rung_fits + sum(map(len, self.answers))

    def run(self) -> None:
        """Race until the race has ended."""
        while self.rungs and not self.state.ended:
            self._climb(self.rungs.pop(0))
        while n_wanted := next_replicates(self.race, self.state):
            first = self.state.n_replicates
            n_more = self._fit_until(n_wanted)
            if not n_more:
                self._stop(TIME)
                return
            self._check_rows()
            n_new = n_more * len(self.state.running)
            # Fits that an earlier race has made count once.
            before = replace(self.state, n_fits=self.n_fits - n_new)
            done = self._replicates(first + n_more)
            means = done.scores.mean(axis=1)
            means = means[np.isfinite(means)]
            self.evaluation.tell_best(max(means, default=np.nan))
            self.state = judge(
                self.race, before, done, self._simplicity(), by_rule=self.by_rule
            )

    def try_first(self) -> float:
        """Fit the first candidate on the first replicates; return seconds of a fit.

        Returns
        -------
        seconds : float
            What the last of these fits took, because the first one may compile; shared
            by as many fits as run at once.
        """
        # Before any fit, or BudgetSpentError says how many there must be.
        n_needed = FEWEST * len(self.state.running)
        for number in range(FEWEST):
            began = time.monotonic()
            try:
                (more,) = self._fit([0], [self._replicate(number)])
            except BudgetSpentError as spent:
                raise BudgetSpentError(self.n_fits + spent.n_done, n_needed) from None
            self.answers[0].extend(more)
        together = min(effective_n_jobs(self.evaluation.search.n_jobs), n_needed)
        return (time.monotonic() - began) / together

    def take_first(self, other: Racing) -> None:
        """Take over what another race of this stage knows of the first candidate.

        Parameters
        ----------
        other : Racing
            The other race, after `try_first`.
        """
        self.started = other.started
        self.answers[0] = other.answers[0]

    def _climb(self, part: float) -> None:
        """Train those that stand for a part of their epochs; the worse ones leave."""
        running = self.state.running
        replicates = [self._replicate(i) for i in range(self.race.min_replicates)]
        answers = self._fit(running, replicates, self._shortened(part))
        for candidate, more in zip(running, answers, strict=True):
            self.answers[candidate] = more
        self._check_rows()
        found = self._replicates(len(replicates))
        # Of those that left at a rung before, these replicates are not known.
        found = replace(found, departed=None)
        self.state = judge_rung(self.race, self.state, found, part)
        # Who leaves keeps these scores; who stays begins full trainings.
        for candidate in self.state.running:
            self.answers[candidate] = []
            self.n_rung_fits += len(replicates)

    def _shortened(self, part: float) -> list[dict[str, Any]]:
        """Return the candidates, with a part of the resource of each."""
        name, found = self.race.resource, []
        for candidate, parameters in zip(self.candidates, self.effective, strict=True):
            value = parameters.get(name)
            if not isinstance(value, Real) or isinstance(value, bool):
                raise ValueError(
                    f"stage {self.stage.name!r}: resource of the race: {name} is "
                    f"{value!r}, and only numbers can be shortened"
                )
            less = part * value
            if isinstance(value, Integral):
                less = max(1, round(less))
            found.append({**candidate, name: less})
        return found

    def _fit_until(self, n_wanted: int) -> int:
        """Fit more replicates; return how many there was time for.

        Before the first look there must be `FEWEST`, or BudgetSpentError is raised.
        Then the first look is made after as many as there are.
        """
        first = self.state.n_replicates
        replicates = [self._replicate(first + i) for i in range(n_wanted)]
        # All at once, if there is time: workers need not wait for each other.
        one_by_one = self.seconds is not None
        parts = [[one] for one in replicates] if one_by_one else [replicates]
        for n_done, part in enumerate(parts):
            try:
                if first or n_done >= FEWEST:
                    self._check_time(len(self._missing(part[0].number)))
                self._fit_missing(part)
            except BudgetSpentError as spent:
                if first == 0 and n_done < FEWEST:
                    n_needed = FEWEST * len(self.state.running)
                    raise BudgetSpentError(
                        self.n_fits + spent.n_done, n_needed
                    ) from None
                if n_done:
                    self.race = replace(self.race, min_replicates=n_done)
                return n_done
        return n_wanted

    def run_against(
        self,
        candidates: Sequence[dict[str, Any]],
        effective: Sequence[Mapping[str, Any]],
    ) -> bool:
        """Let new candidates race against the winner.

        Parameters
        ----------
        candidates, effective : list of dict
            As in the constructor.

        Returns
        -------
        raced : bool
            False if there was no time for their first look; then all is as before.
        """
        n_before, state = len(self.candidates), self.state
        n_needed = self.n_fits + len(candidates) * self.race.min_replicates
        if self.race.max_fits and n_needed > self.race.max_fits:
            return False
        self.state = join(state, len(candidates))
        self.candidates += candidates
        self.effective += effective
        self.answers += [[] for _ in candidates]
        self.values = [self._parameters(name) for name in self.race.ties]
        try:
            self._check_time(FEWEST * len(candidates))
            self.run()
        except BudgetSpentError:
            for made in (self.candidates, self.effective, self.answers):
                del made[n_before:]
            self.values = [self._parameters(name) for name in self.race.ties]
            self.state = state
            return False
        return True

    def _check_time(self, n_next: int) -> None:
        """Raise BudgetSpentError if there is no time for so many more fits."""
        if self.seconds is None or not self.n_fits:
            return
        spent = time.monotonic() - self.started
        if spent + spent / self.n_fits * n_next > self.seconds:
            raise BudgetSpentError(self.n_fits, self.n_fits + n_next)

    def _stop(self, why: str) -> None:
        done = self._replicates(self.state.n_replicates)
        self.state = stop(self.race, self.state, done, self._simplicity(), why)

    def _missing(self, number: int) -> list[int]:
        """Return those that stand and have not run a replicate."""
        return [c for c in self.state.running if len(self.answers[c]) <= number]

    def _fit_missing(self, replicates: Sequence[Replicate]) -> None:
        """Fit those that stand on replicates that they have not run."""
        missing = self._missing(replicates[0].number)
        if missing:
            answers = self._fit(missing, replicates)
            for candidate, more in zip(missing, answers, strict=True):
                self.answers[candidate].extend(more)

    def _fit(
        self,
        running: Sequence[int],
        replicates: Sequence[Replicate],
        candidates: Sequence[dict[str, Any]] | None = None,
    ) -> list[list[tuple[dict, dict]]]:
        names = [str(replicates[0].number)]
        if len(replicates) > 1:
            names.append(str(replicates[-1].number))
        ctx = self.callback_ctx.subcontext(
            task_name=f"replicates {'-'.join(names)}",
            max_subtasks=len(running) * len(replicates),
            sequential_subtasks=False,
        ).call_on_fit_task_begin(estimator=self.evaluation.search)
        answers = self.evaluation.replicate(
            self.candidates if candidates is None else candidates,
            running,
            replicates,
            stage=self.stage.name,
            callback_ctx=ctx,
        )
        ctx.call_on_fit_task_end(estimator=self.evaluation.search)
        return answers

    def _replicate(self, number: int, splits: Sequence[int] = ()) -> Replicate:
        """Return a replicate; on the splits that choose, if no others are given."""
        splits = splits or self.plan.choosing
        first = 0 if splits is self.plan.choosing else self.race.max_replicates
        seed = None
        if self.seed is not None:
            drawn = np.random.SeedSequence([*self.seed, number]).generate_state(1)[0]
            seed = int(drawn >> 1)  # every library takes 31 bits
        return Replicate(
            number=number,
            fold=splits[(number - first) % len(splits)],
            seed=seed,
            measured=tuple(set(self.race.ties) & set(MEASURED)),
            keeps_rows=len(self.plan.choosing) == 1,
            n_standing=1 if self.state.ended else len(self.state.running),
            n_most=self.race.max_replicates,
        )

    def fit_fresh(self) -> None:
        """Fit the winner on replicates that did not choose it."""
        winner = self.state.winner
        if winner is None:
            return
        n_fresh, first = self.race.n_fresh, self.race.max_replicates
        if self.seed is None:  # a split gives one fit only
            n_fresh = min(n_fresh, len(self.plan.fresh))
        numbers = range(first, first + n_fresh)
        replicates = [self._replicate(i, self.plan.fresh) for i in numbers]
        if replicates:
            try:
                (self.fresh,) = self._fit([winner], replicates)
            except BudgetSpentError:
                self.fresh = []  # the choice stands without them

    def metric(self) -> str:
        """Return the name of the metric that decides."""
        search = self.evaluation.search
        for one in self.answers:
            for outcome, _ in one:
                if outcome["fit_error"] is None:
                    scores = outcome["test_scores"]
                    names = list(scores) if isinstance(scores, dict) else ["score"]
                    return deciding_metric(names, search.scoring, search.refit)
        return "score"

    def _scores(self, candidate: int) -> list[float]:
        return [
            self.evaluation.deciding_score(outcome)
            for outcome, _ in self.answers[candidate]
        ]

    def _rows(self, candidate: int) -> NDArray[np.bool_] | None:
        """Return which rows each replicate classified correctly, if all are known."""
        rows = [where.get("right") for _, where in self.answers[candidate]]
        return None if any(row is None for row in rows) else np.array(rows)

    def _check_rows(self) -> None:
        """Raise ValueError unless the rows of one split explain the score."""
        if len(self.plan.choosing) > 1:
            return
        for candidate in self.state.running:
            for outcome, where in self.answers[candidate]:
                right = where.get("right")
                score = self.evaluation.deciding_score(outcome)
                # A score that failed is NaN, and not further away than anything.
                if right is not None and abs(right.mean() - score) > ROUNDING:
                    raise ValueError(f"stage {self.stage.name!r}: {_ONE_SPLIT}")

    def _replicates(self, n: int) -> Replicates:
        """Return the first replicates of those that stand, and of those that left."""
        running = list(self.state.running)
        left = [c for c in range(len(self.candidates)) if c not in running]
        departed = np.full((len(left), n), np.nan)
        parts = {finish.candidate: finish.part for finish in self.state.finishes}
        for row, candidate in zip(departed, left, strict=True):
            # Scores of shorter trainings cannot stand beside these.
            if parts.get(candidate, 1.0) == 1.0:
                scores = self._scores(candidate)[:n]
                row[: len(scores)] = scores
        right = ratio = None
        if len(self.plan.choosing) == 1:
            some = next((r for r in map(self._rows, running) if r is not None), None)
            if some is not None:
                # Those that failed leave before their rows are read.
                rows = [self._rows(c) for c in running]
                right = np.array(
                    [np.zeros_like(some[:n]) if r is None else r[:n] for r in rows]
                )
        else:
            n_train, n_test = self.evaluation.folds.sizes
            ratio = float(n_test / n_train)
        scores = np.array([self._scores(c)[:n] for c in running])
        return Replicates(scores, right, ratio, departed)

    def _simplicity(self) -> NDArray[np.float64]:
        """Return what is compared on ties: a row for each candidate."""
        columns = [
            self._measure(name) if values is None else values
            for name, values in zip(self.race.ties, self.values, strict=True)
        ]
        # Without ties to break there is no column.
        return np.array(columns, dtype=float).reshape(-1, len(self.candidates)).T

    def _measure(self, name: str) -> list[float]:
        """Return the mean of a learned number; NaN where it is not known."""
        means = []
        for answers in self.answers:
            first = answers[: self.race.min_replicates]
            found = [where.get("measured", {}).get(name, np.nan) for _, where in first]
            means.append(float(np.mean(found)))
        return means

    def _parameters(self, name: str) -> list[float] | None:
        """Return a parameter of the candidates; None for what is measured."""
        if not any(name in parameters for parameters in self.effective):
            return None
        values = [parameters.get(name, np.nan) for parameters in self.effective]
        for value in values:
            if not isinstance(value, Real):
                raise ValueError(
                    f"stage {self.stage.name!r}: ties of the race: {name} is "
                    f"{value!r}, and only numbers can be compared for size"
                )
        return [float(value) for value in values]

    def table(self) -> list[Raced]:
        """Return what the table of results tells of each candidate."""
        finishes = {finish.candidate: finish for finish in self.state.finishes}
        return [
            Raced(
                outcomes=[outcome for outcome, _ in answers],
                fresh=[outcome for outcome, _ in self.fresh]
                if candidate == self.state.winner
                else [],
                columns=_columns(finishes[candidate]),
                right=self._rows(candidate) if len(self.plan.choosing) == 1 else None,
            )
            for candidate, answers in enumerate(self.answers)
        ]


def _columns(finish: Finish) -> dict[str, Any]:
    values = finish.why, finish.behind, finish.standard_error, finish.p_value
    return dict(zip(RACE_COLUMNS, (*values, finish.part), strict=True))


def explain_race(
    state: RaceState, table: Mapping[str, Any], metric: str, *, kept: bool = False
) -> str:
    """Explain in one sentence why a race ended with its winner.

    Parameters
    ----------
    state : RaceState
        The race, at its end.
    table : dict
        The rows of its candidates.
    metric : str
        Name of the metric that decided.
    kept : bool, default=False
        Whether the winner is the incumbent, which had to win ties.

    Returns
    -------
    reason : str
        A sentence without a full stop.
    """
    words = Words(table)
    finishes = {finish.candidate: finish for finish in state.finishes}
    won, n_stand = finishes[state.winner], len(state.running)
    told = _who_left(state)
    others = f" ({told})" if told else ""
    reason = (
        f"{words.score(state.winner)} is the {words.noun} of the only one of "
        f"{state.n_candidates} candidates that stands"
    )
    if n_stand > 1:
        which = "the candidate carried in, one of" if kept else "the simplest of"
        reason = (
            f"{words.score(state.winner)} is the {words.noun} of {which} the "
            f"{n_stand} of {state.n_candidates} candidates that stand"
        )
    reason += f" after {state.n_replicates} replicates{others}"
    if n_stand > 1:
        reason += f"; the race ended because {state.ended}"
    if won.behind and won.p_value is not None:
        ahead = words.difference(won.behind)
        reason += f"; the leader is {ahead} better (p = {won.p_value:.2g})"
    fresh = table[f"mean_fresh_{metric}"][state.winner]
    if np.isfinite(fresh):
        text = f"{100 * fresh:.2f} %" if words.percent else f"{fresh:.5g}"
        reason += f"; replicates that did not choose it give {text}"
    return reason


def _who_left(state: RaceState) -> str:
    """Say in a few words how many candidates left, and why."""
    left = [f.why for f in state.finishes if f.candidate not in state.running]
    whys = {
        WORSE: "significantly worse",
        IDLE: "no longer able to win",
        FAILED: FAILED,
        # Before the stage grew.
        STOOD: "tied with an earlier winner",
    }
    told = ", ".join(f"{left.count(w)} {text}" for w, text in whys.items() if w in left)
    short = [f.part for f in state.finishes if f.part < 1]
    if short:
        told += f"; {len(short)} of them after {min(short):.0%} of the training"
        if max(short) > min(short):
            told += f" to {max(short):.0%}"
    return told
