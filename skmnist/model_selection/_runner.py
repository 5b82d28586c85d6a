"""A staged search while it runs: evaluate each stage, choose the winner, go on."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import check_random_state

from .._compat import call_callbacks, cause_of_failure
from ._pace import FEWEST, Pace, Share, first_ones
from ._race import Race, RaceState, choose
from ._racing import (
    INCUMBENT,
    RaceTooLongError,
    Racing,
    check_races,
    explain_race,
    n_candidates_of,
    race_of,
    seed_of_races,
)
from ._results import highest, split_scores, take_rows, written
from ._rules import explain
from ._scoring import deciding_metric, recorded_metrics
from ._significance import correct_rows, significant_gain
from ._stage import (
    Stage,
    StageResult,
    candidates_of,
    carry,
    check_stages,
    find_same,
    overlay,
    settle,
)

if TYPE_CHECKING:
    from sklearn.callback import CallbackContext

    from ._evaluation import Evaluation


# How many candidates a stage has, where a function lists them.
TYPICAL = 4


class AllFailedError(ValueError, TypeError):
    """No candidate of a stage has a score.

    It is also a TypeError, like scikit-learn's `InvalidParameterError`, because the
    cause can be data of the wrong type.
    """


class StageRows:
    """The candidates of the stage that is running."""

    def __init__(self, stage: Stage, first: int, tried: list[dict[str, Any]]):
        self.stage = stage
        self.first = first  # row of the first candidate in cv_results_
        self.tried = tried  # the stage's own parameters, one dict per candidate
        # Position of the incumbent; and again, if the stage does not try it itself.
        self.incumbent: int | None = None
        self.added: int | None = None

    @property
    def indices(self) -> tuple[int, ...]:
        """Rows of the candidates in ``cv_results_``."""
        return tuple(range(self.first, self.first + len(self.tried)))

    def keep(self, positions: Sequence[int]) -> None:
        """Leave out all other candidates; the incumbent must be among these."""
        self.tried = [self.tried[i] for i in positions]
        for name in ("incumbent", "added"):
            if (before := getattr(self, name)) is not None:
                setattr(self, name, list(positions).index(before))

    def own(self) -> list[tuple[int, dict[str, Any]]]:
        """Return position and parameters of each candidate of the stage itself."""
        return [(i, p) for i, p in enumerate(self.tried) if i != self.added]


class SearchRun:
    """One pass through the stages of a search.

    Parameters
    ----------
    search : StagedSearchCV
        The search; its stages are checked here.
    evaluation : Evaluation
        Fits and scores the candidates.
    """

    def __init__(self, search, evaluation: Evaluation):
        self.search = search
        self.evaluation = evaluation
        self.parameters = evaluation.estimator.get_params()
        check_stages(search.stages, self.parameters, evaluation.estimator)
        check_races(search, evaluation, self.parameters)
        self.random_state = check_random_state(search.random_state)
        self.results: dict[str, Any] = {"params": []}
        self.metric: str | None = None
        self.carried: dict[str, Any] = {}  # what the stages so far have chosen
        self.done: list[StageResult] = []
        self.pace = Pace(evaluation.deadline)
        self.race_seed: int | None = None
        if any(race_of(stage, search) for stage in search.stages):
            self.race_seed = seed_of_races(search.random_state, self.parameters)

    def run(self, stage: Stage, search_ctx: CallbackContext) -> StageResult:
        """Evaluate a stage and choose its winner; the next stage starts from it."""
        rows, full, note = self._plan(stage)
        race = race_of(stage, self.search)
        if race is not None:
            result = self._race(rows, full, race, search_ctx, note)
        else:
            result = self._try_all(rows, full, search_ctx, note)
        self.carried = result.best_params
        self.done.append(result)
        place = len(self.done), len(self.search.stages)
        call_callbacks(self.search, "on_stage_result", result, *place)
        return result

    def passes_over(self, left: Sequence[Stage]) -> bool:
        """Return whether there is no time for the first of the stages that are left."""
        return race_of(left[0], self.search) is not None and self.pace.passes_over(
            [stage.cost for stage in left], [stage.priority for stage in left]
        )

    def _try_all(
        self,
        rows: StageRows,
        full: list[dict[str, Any]],
        search_ctx: CallbackContext,
        note: str,
    ) -> StageResult:
        """Evaluate all candidates on all splits, and choose by the stage's rule."""
        stage = rows.stage
        if stage.grow is None:
            self._evaluate(stage, full, search_ctx, f"stage {stage.name}")
        else:
            stage_ctx = search_ctx.subcontext(
                task_name=f"stage {stage.name}", max_subtasks=None
            ).call_on_fit_task_begin(estimator=self.search)
            self._evaluate(stage, full, stage_ctx, "grid")
            note = self._grow(rows, stage_ctx)
            stage_ctx.call_on_fit_task_end(estimator=self.search)
        return self._choose(rows, note)

    def _race(
        self,
        rows: StageRows,
        full: list[dict[str, Any]],
        race: Race,
        search_ctx: CallbackContext,
        note: str,
    ) -> StageResult:
        """Let the candidates race; the winner is who wins the race."""
        stage = rows.stage
        ctx = search_ctx.subcontext(
            task_name=f"stage {stage.name}", max_subtasks=None
        ).call_on_fit_task_begin(estimator=self.search)
        share, known = self._share_of_time(stage), None
        if share is not None:
            unknown = share.seconds_per_fit is None
            if unknown and len(full) > FEWEST and not race.rungs:
                # Nothing is known yet: the first candidate says how long a fit takes.
                known = self._racing(rows, full, race, ctx)
                share = replace(share, seconds_per_fit=known.try_first())
            race, full, fewer = _shortened(share, race, rows, full)
            note += fewer
        racing = self._racing(rows, full, race, ctx)
        if known is not None:
            racing.take_first(known)
        racing.seconds = None if share is None else share.seconds
        racing.run()
        if stage.grow is not None:
            note += self._grow_by_races(rows, racing)
        if racing.by_rule and racing.state.winner is not None:
            note += self._choose_among_standing(rows, racing)
        racing.fit_fresh()
        self.pace.keep(time.monotonic() - racing.started, racing.n_fits * stage.cost)
        raced = racing.table()
        full = racing.candidates
        self._add(
            stage,
            len(full),
            lambda: self.evaluation.collect_race(full, raced, stage.name),
        )
        ctx.call_on_fit_task_end(estimator=self.search)
        state = racing.state
        if state.winner is None:
            raise self._all_failed(stage)
        table = take_rows(self.results, rows.indices, self.metric)
        kept = INCUMBENT in race.ties and state.winner == rows.incumbent
        reason = explain_race(state, table, self.metric, kept=kept) + note
        rule = f"{race!r}, {written(stage.rule)}"
        return self._result(
            rows,
            state.winner,
            rule if racing.by_rule else repr(race),
            reason,
            race=state,
        )

    def _racing(
        self,
        rows: StageRows,
        full: list[dict[str, Any]],
        race: Race,
        ctx: CallbackContext,
    ) -> Racing:
        """Return a race of a stage's candidates, before its first fit."""
        # Each stage has its own seeds: a winner must not bring its lucky ones along.
        seed = None if self.race_seed is None else (self.race_seed, len(self.done))
        try:
            return Racing(
                self.evaluation,
                rows.stage,
                race,
                full,
                [
                    self._for_ties(one, is_new=i != rows.incumbent)
                    for i, one in enumerate(rows.tried)
                ],
                seed=seed,
                callback_ctx=ctx,
            )
        except RaceTooLongError as error:
            if self.done:
                raise  # what the stages before have found counts
            raise ValueError(f"stage {rows.stage.name!r}: {error}") from None

    def _share_of_time(self, stage: Stage) -> Share | None:
        """Return the time of a stage, by the candidates of those that are left."""
        stages = list(self.search.stages)
        left = stages[[one.name for one in stages].index(stage.name) :]
        return self.pace.share(
            [(n_candidates_of(one) or TYPICAL) * one.cost for one in left], stage.cost
        )

    def _grow_by_races(self, rows: StageRows, racing: Racing) -> str:
        """Let the next value race against the winner, while the winner is the last."""
        stage, name = rows.stage, rows.stage.grow
        for _ in range(stage.max_grow):
            winner = racing.state.winner
            if winner is None:
                return ""
            own = [p for _, p in rows.own() if name in p]
            last = max(p[name] for p in own)
            if rows.tried[winner].get(name) != last:
                return f"; {name}={last} is no significant gain"
            step = [{**p, name: last + 1} for p in own if p[name] == last]
            if not racing.run_against(
                [carry(self.carried, candidate) for candidate in step],
                [self._for_ties(candidate) for candidate in step],
            ):
                return f"; there was no time for {name}={last + 1}"
            rows.tried.extend(step)
        return f"; growth ended after max_grow={stage.max_grow} values"

    def _choose_among_standing(self, rows: StageRows, racing: Racing) -> str:
        """Let the stage's rule choose among the candidates that stand."""
        stage, standing = rows.stage, list(racing.state.running)
        results = self.evaluation.preview_race(
            racing.candidates, racing.table(), stage.name
        )
        table = self._shown(rows, results, racing.metric())
        table = take_rows(table, standing)
        index = self._by_rule(stage, table)
        racing.state = choose(racing.state, standing[index])
        why = explain(stage.rule, table, index)
        return f"; the rule chose among those that stand: {why}"

    def _plan(self, stage: Stage) -> tuple[StageRows, list[dict[str, Any]], str]:
        """List a stage's candidates, and the incumbent if it is not one of them."""
        estimator = self.evaluation.estimator
        chosen = self._with_all({})
        tried, n_possible = candidates_of(stage, chosen, self.random_state, estimator)
        note = ""
        if n_possible is not None and len(tried) < n_possible:
            note = f"; {len(tried)} of {n_possible} points of the grid were tried"
        full = [carry(self.carried, candidate) for candidate in tried]
        rows = StageRows(stage, len(self.results["params"]), tried)
        if self.done:
            effective = [self._with_all(candidate) for candidate in tried]
            rows.incumbent = find_same(chosen, effective)
            if rows.incumbent is None:
                rows.incumbent = rows.added = 0
                names = dict.fromkeys(name for one in tried for name in one)
                same = {name: chosen[name] for name in names if name in chosen}
                tried.insert(0, same)
                # The settled values, in place of an "auto" that is carried.
                full.insert(0, {**same, **self.carried, **same})
        return rows, full, note

    def _for_ties(
        self, candidate: dict[str, Any], *, is_new: bool = True
    ) -> dict[str, Any]:
        """Return what can break ties: all parameters, and whether it is a change."""
        return {INCUMBENT: is_new, **self._with_all(candidate)}

    def _with_all(self, candidate: dict[str, Any]) -> dict[str, Any]:
        """Return all parameters of the estimator, as a candidate has them."""
        changed = carry(self.carried, candidate)
        everything = overlay(self.parameters, changed)
        X = self.evaluation.X
        n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
        return settle(everything, self.evaluation.estimator, n_samples)

    def _evaluate(
        self,
        stage: Stage,
        full: list[dict[str, Any]],
        parent_ctx: CallbackContext,
        task_name: str,
    ) -> None:
        ctx = parent_ctx.subcontext(
            task_name=task_name,
            max_subtasks=len(full) * self.evaluation.n_splits,
            sequential_subtasks=False,
        ).call_on_fit_task_begin(estimator=self.search)
        self._add(
            stage,
            len(full),
            lambda: self.evaluation.evaluate(full, stage=stage.name, callback_ctx=ctx),
        )
        ctx.call_on_fit_task_end(estimator=self.search)

    def _add(
        self, stage: Stage, n_new: int, make: Callable[[], dict[str, Any]]
    ) -> None:
        """Take new results, and learn which metric decides."""
        try:
            self.results = make()
        except ValueError as error:
            cause = cause_of_failure(error)
            if cause is None:
                raise
            raise AllFailedError(
                f"stage {stage.name!r}: all {n_new} candidates failed: {cause}"
            ) from error
        start = "mean_test_"
        names = [n.removeprefix(start) for n in self.results if n.startswith(start)]
        self.metric = deciding_metric(names, self.search.scoring, self.search.refit)
        recorded = recorded_metrics(self.search.scoring)
        self._warn_of_nan(stage, [n for n in names if n not in recorded], n_new)

    def _warn_of_nan(self, stage: Stage, names: Sequence[str], n_new: int) -> None:
        for name in names:
            for part in ("test", "train"):
                means = self.results.get(f"mean_{part}_{name}", np.zeros(1))[-n_new:]
                if not np.isfinite(means).all():
                    warnings.warn(
                        f"One or more of the {part} scores are non-finite in stage "
                        f"{stage.name!r}: {means}",
                        stacklevel=2,
                    )

    def _grow(self, rows: StageRows, stage_ctx: CallbackContext) -> str:
        """Add values while they bring a significant gain; return why this ended."""
        stage, name = rows.stage, rows.stage.grow
        for _ in range(stage.max_grow):
            own = [(i, p) for i, p in rows.own() if name in p]
            before, last = sorted({p[name] for _, p in own})[-2:]
            if not self._gains(rows, own, last, before):
                return f"; {name}={last} is no significant gain over {before}"
            step = [{**p, name: last + 1} for _, p in own if p[name] == last]
            full = [carry(self.carried, candidate) for candidate in step]
            try:
                self._evaluate(stage, full, stage_ctx, f"{name}={last + 1}")
            except AllFailedError as error:
                message = f"{error}; growth ends at {name}={last}"
                warnings.warn(message, FitFailedWarning, stacklevel=2)
                return f"; all candidates with {name}={last + 1} failed"
            rows.tried.extend(step)
        return f"; growth ended after max_grow={stage.max_grow} values"

    def _gains(self, rows: StageRows, own: list, last: int, before: int) -> bool:
        """Return whether the best row at a value beats the best one before it."""
        table = take_rows(self.results, rows.indices, self.metric)
        scores = table["mean_test_score"]
        best = []
        for value in (last, before):
            at = [i for i, p in own if p[rows.stage.grow] == value]
            if np.isnan(scores[at]).all():
                return False
            best.append(at[highest(scores[at])])
        n_train, n_test = self.evaluation.folds.sizes
        right = correct_rows(table, best)
        try:
            return significant_gain(
                *(split_scores(table, i) for i in best),
                n_train=n_train,
                n_test=n_test,
                right=None if right is None else tuple(right[i] for i in best),
            )
        except ValueError as error:
            message = f"stage {rows.stage.name!r} cannot grow: {error}"
            warnings.warn(message, stacklevel=2)
            return False

    def _shown(
        self, rows: StageRows, results: dict[str, Any], metric: str
    ) -> dict[str, Any]:
        """Return the table that a stage's rule reads."""
        table = take_rows(results, rows.indices, metric)
        n_train, n_test = self.evaluation.folds.sizes
        n_rows = len(rows.indices)
        return {
            **table,
            "n_train": np.full(n_rows, n_train),
            "n_test": np.full(n_rows, n_test),
            "incumbent": np.arange(n_rows) == rows.incumbent,
        }

    def _choose(self, rows: StageRows, note: str) -> StageResult:
        """Choose the winner by the stage's rule; the note ends the reason."""
        stage = rows.stage
        table = self._shown(rows, self.results, self.metric)
        scores = table["mean_test_score"]
        if np.isnan(scores).all():
            raise self._all_failed(stage)
        index = self._by_rule(stage, table)
        if all(np.isnan(scores[i]) for i, _ in rows.own()):
            message = f"stage {stage.name!r}: only the incumbent did not fail"
            warnings.warn(message, FitFailedWarning, stacklevel=2)
        reason = explain(stage.rule, table, index) + note
        return self._result(rows, index, written(stage.rule), reason)

    def _by_rule(self, stage: Stage, table: dict[str, Any]) -> int:
        """Return the row that a stage's rule chooses; raise ValueError if it cannot."""
        scores = table["mean_test_score"]
        try:
            index = stage.rule(table)
        except (TypeError, ValueError) as error:
            raise ValueError(f"stage {stage.name!r}: {error}") from error
        if not isinstance(index, Integral) or not 0 <= index < len(scores):
            raise ValueError(f"stage {stage.name!r}: the rule chose row {index!r}")
        if np.isnan(scores[index]):
            raise ValueError(f"stage {stage.name!r}: the rule chose a row of score NaN")
        return int(index)

    def _all_failed(self, stage: Stage) -> AllFailedError:
        return AllFailedError(
            f"stage {stage.name!r}: every candidate failed in at least one fold: "
            f"{self.evaluation.last_failure or 'no fit, but the scoring'}"
        )

    def _result(
        self,
        rows: StageRows,
        index: int,
        rule: str,
        reason: str,
        race: RaceState | None = None,
    ) -> StageResult:
        winner = rows.indices[index]
        return StageResult(
            name=rows.stage.name,
            rule=rule,
            reason=reason,
            indices=rows.indices,
            winner=winner,
            incumbent=None if rows.incumbent is None else rows.indices[rows.incumbent],
            params=dict(rows.tried[index]),
            best_params=dict(self.results["params"][winner]),
            race=race,
        )


def _shortened(
    share: Share, race: Race, rows: StageRows, full: list[dict[str, Any]]
) -> tuple[Race, list[dict[str, Any]], str]:
    """Leave out replicates and candidates that there is no time for."""
    n = len(full)
    race, n_possible = share.shortened(race, n)
    if n_possible >= n:
        return race, full, ""
    # Who lists candidates lists first what matters most.
    kept = first_ones(n, n_possible, rows.incumbent)
    rows.keep(kept)
    note = f"; {n_possible} of {n} candidates were tried for want of time"
    return race, [full[i] for i in kept], note
