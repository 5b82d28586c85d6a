"""The rule of a race: who leaves, when it ends, and who wins. It fits nothing."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from ..stats._replicates import ReplicateComparison, compare_on_replicates

# How a candidate ends.
WORSE, IDLE, FAILED, STOOD, WON = "worse", "idle", "failed", "stood", "won"
# Why a race ends.
ONE_STANDS = "one candidate stands"
TIED = "the candidates that stand are tied"
ALL_REPLICATES = "all replicates are used"
BUDGET = "the budget is spent"
TIME = "the time is over"


@dataclass(frozen=True, repr=False)
class Race:
    """How the candidates of a stage race over replicates.

    A replicate fits every candidate that still races once, on the same split and with
    the same seed. After each replicate, candidates that are significantly worse than
    the leader leave. The winner is the simplest candidate that stands at the end.

    Parameters
    ----------
    max_replicates : int, default=10
        Most replicates that choose.
    min_replicates : int, default=3
        Replicates before anybody can leave; at least 2.
    alpha : float, default=0.05
        Largest probability that the simplest candidate leaves as worse although no
        other is better, over all candidates and looks.
    ties : sequence of str, default=("n_parameters", "n_iter")
        What makes a candidate simple, the most important first; a small value is
        simple. A parameter with numbers, or a number that the fitted classifier has
        as an attribute with an underscore at its end: ``n_parameters`` are its
        weights, ``n_iter`` are its epochs. ``"incumbent"`` is 0 for what the stages
        before have chosen and 1 for the others: a change must be better, not only as
        good. Candidates that are equally simple are in the order of their scores, then
        of the grid. With an empty list the highest mean score wins.
    futility : float, default=0.05
        The race ends if every other candidate has a smaller chance than this to show,
        with all replicates, that it is better than the simplest one. 0 goes on to the
        end.
    n_fresh : int, default=3
        Replicates that fit the winner alone, after the choice. They give its score.
    max_fits : int, default=None
        Most fits that choose, for the race of one stage. None sets no limit.
    rungs : sequence of float, default=()
        Parts of a training, in rising order, each between 0 and 1. At each of them all
        candidates that stand train for so much of their `resource` and are compared
        once. Candidates that are significantly worse leave, and never train to the end.
    resource : str, default="epochs"
        The parameter that `rungs` shorten: a number that says how long a candidate
        trains.

    Raises
    ------
    ValueError
        If a value is out of its range.

    See Also
    --------
    StagedSearchCV : Takes a race for all stages.
    Stage : Takes a race of its own.
    skmnist.stats.compare_on_replicates : The test.

    Notes
    -----
    Replicate ``r`` uses the split ``r`` of the search; after the last one the splits
    begin again, with other seeds. On three or more splits the last fifth of them, at
    least one, takes no part in the choice, and gives the winner's score. On one or
    two splits other seeds give the score, on the same rows.

    Of ``k`` candidates that stand, ``k - 1`` others could lead by chance. So the
    error ``alpha / (k - 1)`` of a pair is spent over all looks at it, with the same
    level at each look [1]_ [2]_. A candidate leaves as worse if the one-sided p-value
    of its difference from the leader is below that level. By Bonferroni's inequality
    the simplest candidate, if none is better, is lost with a probability of at most
    `alpha`. With rungs, each rung and the race after them has the same share of it.

    Rungs are successive halving [3]_ with a test in place of a fixed part that leaves.
    They save time where bad candidates show early. A candidate that is worse at first
    and better in the end is lost at a rung: use none where that is likely. A winner's
    scores never come from a rung. Candidates that join later, because a stage grows,
    race without rungs.

    If a stage has a `rule` of its own, the rule chooses among the candidates that
    stand in the end. If a stage grows (``grow`` of `Stage`), candidates with the next
    value race against the winner, as long as the winner has the largest value. Its
    fits count for these races too: they have the same seeds and splits.

    References
    ----------
    .. [1] S. Pocock, "Group sequential methods in the design and analysis of clinical
       trials", Biometrika 64, 191-199, 1977.
    .. [2] P. Armitage, C. McPherson, B. Rowe, "Repeated significance tests on
       accumulating data", Journal of the Royal Statistical Society A 132, 235-244,
       1969.
    .. [3] K. Jamieson, A. Talwalkar, "Non-stochastic best arm identification and
       hyperparameter optimization", AISTATS 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skmnist import Race, Stage, StagedSearchCV
    >>> search = StagedSearchCV(
    ...     DecisionTreeClassifier(),
    ...     [Stage("depth", {"max_depth": [1, 2, 3, 4]})],
    ...     race=Race(ties=["max_depth"]),
    ...     random_state=0,
    ... ).fit(*load_iris(return_X_y=True))
    >>> search.best_params_
    {'max_depth': 2}
    """

    max_replicates: int = 10
    min_replicates: int = 3
    alpha: float = 0.05
    ties: Sequence[str] = ("n_parameters", "n_iter")
    futility: float = 0.05
    n_fresh: int = 3
    max_fits: int | None = None
    rungs: Sequence[float] = ()
    resource: str = "epochs"

    def __post_init__(self):
        least = {"min_replicates": 2, "n_fresh": 0, "max_fits": 1}
        least["max_replicates"] = self.min_replicates
        for name, bound in least.items():
            value = getattr(self, name)
            if value is None and name == "max_fits":
                continue
            is_count = isinstance(value, Integral) and not isinstance(value, bool)
            if not (is_count and value >= bound):
                raise ValueError(
                    f"{name} of a race must be a whole number from {bound}; "
                    f"got {value!r}"
                )
        for name, low, high in (("alpha", 0, 1), ("futility", -1, 1)):
            value = getattr(self, name)
            if not (isinstance(value, Real) and low < value < high and value >= 0):
                raise ValueError(
                    f"{name} of a race must be between 0 and 1; got {value!r}"
                )
        if isinstance(self.ties, str) or not all(
            isinstance(name, str) and name for name in self.ties
        ):
            raise ValueError(
                f"ties of a race must be a list of names; got {self.ties!r}"
            )
        self._check_rungs()

    def _check_rungs(self) -> None:
        rungs = self.rungs
        is_list = isinstance(rungs, list | tuple)
        if not is_list or not all(isinstance(one, Real) for one in rungs):
            raise ValueError(
                f"rungs of a race must be a list of numbers; got {rungs!r}"
            )
        bounds = [0.0, *rungs, 1.0]
        # Written so that NaN is refused.
        if not all(a < b for a, b in zip(bounds, bounds[1:], strict=False)):
            raise ValueError(
                f"rungs of a race must rise, between 0 and 1; got {rungs!r}"
            )
        if not (isinstance(self.resource, str) and self.resource):
            raise ValueError(
                f"resource of a race must be a name; got {self.resource!r}"
            )

    def __repr__(self) -> str:
        # What was changed only, as scikit-learn's estimators do.
        changed = (
            f"{one.name}={getattr(self, one.name)!r}"
            for one in fields(self)
            if getattr(self, one.name) != one.default
        )
        return f"{type(self).__name__}({', '.join(changed)})"

    @property
    def n_looks(self) -> int:
        """How often candidates can leave."""
        return self.max_replicates - self.min_replicates + 1

    def n_needed(self, n_candidates: int) -> int:
        """Return how many fits there are before the first look at full trainings.

        Parameters
        ----------
        n_candidates : int
            How many candidates race.

        Returns
        -------
        n_fits : int
            As many as if nobody left at a rung.
        """
        return n_candidates * self.min_replicates * (len(self.rungs) + 1)

    def level(self, n_candidates: int) -> float:
        """Return the level of one comparison at one look.

        Parameters
        ----------
        n_candidates : int
            Number of candidates that stand.

        Returns
        -------
        level : float
            A candidate with a p-value below it leaves.
        """
        share = self.alpha / (len(self.rungs) + 1)
        whole = share / max(n_candidates - 1, 1)
        return _level_of_looks(whole, self.min_replicates, self.max_replicates)


@lru_cache(maxsize=256)
def _level_of_looks(whole: float, first: int, last: int) -> float:
    """Return the level that gives a probability of error of `whole` over all looks.

    The test statistic is taken to move as a sum of independent normal steps, of which
    there are as many as replicates.
    """
    if first == last:
        return whole

    def excess(quantile: float) -> float:
        return _crossing(quantile, first, last) - whole

    most = -special.ndtri(whole / (last - first + 1))  # Bonferroni
    quantile = optimize.brentq(excess, -special.ndtri(whole), most + 1e-9)
    return float(special.ndtr(-quantile))


def _crossing(quantile: float, first: int, last: int) -> float:
    """Return the probability that a random walk crosses ``quantile * sqrt(r)``.

    Armitage, McPherson and Rowe: the density of the sums that have not crossed, from
    one look to the next, at the points of Gauss and Legendre.
    """
    points, weights = np.polynomial.legendre.leggauss(64)
    low = -6 * np.sqrt(last)
    sums, density = np.zeros(1), np.ones(1)
    before = 0
    for r in range(first, last + 1):
        half = (quantile * np.sqrt(r) - low) / 2
        here = low + half * (points + 1)
        steps = np.subtract.outer(here, sums) / np.sqrt(r - before)
        normal = np.exp(-(steps**2) / 2) / np.sqrt(2 * np.pi * (r - before))
        density = (normal @ density) * half * weights
        sums, before = here, r
    return 1 - density.sum()


@dataclass(frozen=True)
class Finish:
    """How a race ended for one candidate.

    Parameters
    ----------
    candidate : int
        Its position among the candidates.
    replicates : int
        Number of replicates that it ran.
    why : str
        ``"worse"``: it left, significantly worse than the leader. ``"idle"``: it left,
        because it could not have changed the choice. ``"failed"``: it left. ``"stood"``
        and ``"won"``: it was there at the end.
    leader : int or None, default=None
        Position of the candidate that led then; None for one that failed.
    behind : float or None, default=None
        Mean score of the leader minus its own; None for one that failed.
    standard_error : float or None, default=None
        Standard error of that difference; None where nothing was compared.
    p_value : float or None, default=None
        One-sided p-value of that difference, adjusted for candidates and looks; None
        where nothing was compared.
    part : float, default=1.0
        For which part of its training it was compared: less than 1 if it left at a
        rung.
    """

    candidate: int
    replicates: int
    why: str
    leader: int | None = None
    behind: float | None = None
    standard_error: float | None = None
    p_value: float | None = None
    part: float = 1.0


@dataclass(frozen=True)
class RaceState:
    """A race after some replicates.

    Parameters
    ----------
    n_candidates : int
        Number of candidates at the start.
    running : tuple of int
        Positions of the candidates that stand.
    n_replicates : int, default=0
        Replicates that the candidates that stand have run.
    n_fits : int, default=0
        Fits so far.
    finishes : tuple of Finish, default=()
        Who has left, in order; at the end all candidates.
    ended : str or None, default=None
        Why the race has ended; None while it goes on.
    winner : int or None, default=None
        Position of the winner, at the end.
    """

    n_candidates: int
    running: tuple[int, ...]
    n_replicates: int = 0
    n_fits: int = 0
    finishes: tuple[Finish, ...] = ()
    ended: str | None = None
    winner: int | None = None

    @classmethod
    def start(cls, n_candidates: int) -> RaceState:
        """Return the state before the first fit.

        Parameters
        ----------
        n_candidates : int
            How many candidates race.

        Returns
        -------
        state : RaceState
            All candidates stand.
        """
        return cls(n_candidates, tuple(range(n_candidates)))


@dataclass(frozen=True)
class Replicates:
    """What the candidates that stand have done so far.

    Parameters
    ----------
    scores : ndarray of float of shape (n_running, n_replicates)
        Their scores, in the order of `RaceState.running`; NaN where a fit failed.
    right : ndarray of bool of shape (n_running, n_replicates, n_rows) or None
        See `skmnist.stats.compare_on_replicates`.
    ratio : float or None
        See there.
    departed : ndarray of float of shape (n_departed, n_replicates) or None
        See there.
    """

    scores: NDArray[np.float64]
    right: NDArray | None = None
    ratio: float | None = None
    departed: NDArray | None = None

    def among(self, stay: NDArray[np.bool_]) -> Replicates:
        """Return the same for those that stay; the others have departed."""
        more = [] if self.departed is None else [self.departed]
        return Replicates(
            self.scores[stay],
            None if self.right is None else self.right[stay],
            self.ratio,
            np.concatenate([self.scores[~stay], *more]),
        )

    def against(self, row: int) -> ReplicateComparison:
        """Compare the candidate of a row with all."""
        return compare_on_replicates(
            self.scores,
            row,
            right=self.right,
            ratio=self.ratio,
            departed=self.departed,
        )


def next_replicates(race: Race, state: RaceState) -> int:
    """Return how many replicates to run before the next look; 0 if there are none.

    Parameters
    ----------
    race : Race
        The rule.
    state : RaceState
        The race so far.

    Returns
    -------
    n_replicates : int
        At the start those before the first look, and one each time after it.
    """
    if state.ended is not None:
        return 0
    return 1 if state.n_replicates else race.min_replicates


def judge(
    race: Race,
    state: RaceState,
    replicates: Replicates,
    simplicity: ArrayLike,
    *,
    by_rule: bool = False,
) -> RaceState:
    """Look at the race after a replicate.

    Parameters
    ----------
    race : Race
        The rule.
    state : RaceState
        The race before.
    replicates : Replicates
        All replicates of the candidates that stood before.
    simplicity : array-like of shape (n_candidates, n_keys)
        Numbers to compare, for all candidates; small ones are simple.
    by_rule : bool, default=False
        Whether a rule chooses among those that stand in the end. Then nobody leaves
        for being more complex.

    Returns
    -------
    state : RaceState
        The race after: without those that leave; or ended, with its winner.
    """
    n_new = replicates.scores.shape[1] - state.n_replicates
    state = replace(
        state,
        n_replicates=state.n_replicates + n_new,
        n_fits=state.n_fits + n_new * len(state.running),
    )
    look = _Look(race, state, replicates, np.asarray(simplicity, dtype=float))
    for step in (look.drop_failed, look.drop_worse):
        step()
        if len(look.state.running) < 2:
            return look.end(ONE_STANDS)
    if look.state.n_replicates >= race.max_replicates:
        return look.end(ALL_REPLICATES)
    if not look.drop_idle(by_rule):
        return look.end(TIED)
    if len(look.state.running) < 2:
        return look.end(ONE_STANDS)
    if race.max_fits and look.state.n_fits + len(look.state.running) > race.max_fits:
        return look.end(BUDGET)
    return look.state


def judge_rung(
    race: Race, state: RaceState, replicates: Replicates, part: float
) -> RaceState:
    """Look at candidates that have trained for a part of their epochs.

    Parameters
    ----------
    race : Race
        The rule.
    state : RaceState
        The race before; nobody has run a replicate of a full training.
    replicates : Replicates
        Replicates of the shorter trainings of those that stand.
    part : float
        How long they were.

    Returns
    -------
    state : RaceState
        The race without those that leave; ended if all have failed.
    """
    n = replicates.scores.shape[1]
    once = replace(race, min_replicates=n, max_replicates=n)
    state = replace(state, n_replicates=n)
    # What is simple matters at the end only.
    look = _Look(once, state, replicates, np.zeros((0, 0)), part=part)
    look.drop_failed()
    if len(look.state.running) > 1:
        look.drop_worse()
    ended = None if look.state.running else ONE_STANDS
    return replace(look.state, n_replicates=0, ended=ended)


def stop(
    race: Race,
    state: RaceState,
    replicates: Replicates,
    simplicity: ArrayLike,
    why: str,
) -> RaceState:
    """End a race between two looks, with those that stand.

    Parameters
    ----------
    race, state, replicates, simplicity
        As for `judge`; no replicate is new.
    why : str
        Why it ends.

    Returns
    -------
    state : RaceState
        The race at its end.
    """
    look = _Look(race, state, replicates, np.asarray(simplicity, dtype=float))
    return look.end(why)


def choose(state: RaceState, winner: int) -> RaceState:
    """Give a race that has ended another winner, of those that stand.

    Parameters
    ----------
    state : RaceState
        The race at its end.
    winner : int
        Position of the candidate that a rule has chosen.

    Returns
    -------
    state : RaceState
        The race with that winner.
    """
    whys = {state.winner: STOOD, winner: WON}
    finishes = tuple(
        replace(one, why=whys.get(one.candidate, one.why)) for one in state.finishes
    )
    return replace(state, winner=winner, finishes=finishes)


def join(state: RaceState, n_more: int) -> RaceState:
    """Return the start of another race, of the winner with new candidates.

    Parameters
    ----------
    state : RaceState
        A race at its end.
    n_more : int
        How many candidates are new. Their positions follow those of the others.

    Returns
    -------
    state : RaceState
        Nobody has run a replicate of it yet.
    """
    first = state.n_candidates
    return replace(
        state,
        n_candidates=first + n_more,
        running=(state.winner, *range(first, first + n_more)),
        n_replicates=0,
        finishes=tuple(f for f in state.finishes if f.candidate != state.winner),
        ended=None,
        winner=None,
    )


class _Look:
    """One look at a race; candidates leave step by step."""

    def __init__(
        self,
        race: Race,
        state: RaceState,
        replicates: Replicates,
        simplicity: NDArray,
        part: float = 1.0,
    ):
        self.race, self.state, self.replicates = race, state, replicates
        self.part = part
        self.simplicity = simplicity
        self.level = race.level(len(state.running))

    def drop_failed(self) -> None:
        """Let those leave that failed in any replicate."""
        fine = np.isfinite(self.replicates.scores).all(axis=1)
        n = self.state.n_replicates
        gone = [
            Finish(self.state.running[i], n, FAILED, part=self.part)
            for i in np.flatnonzero(~fine)
        ]
        self._drop(fine, gone)

    def drop_worse(self) -> None:
        """Let those leave that are significantly worse than the leader."""
        found = self.replicates.against(self._leader)
        stay = found.p_better() >= self.level
        stay[self._leader] = True
        self._drop(stay, self._finishes(found, np.flatnonzero(~stay), WORSE))

    def drop_idle(self, by_rule: bool) -> bool:
        """Let those leave that cannot change the choice; return whether some can.

        Only a candidate that is found better than the simplest one can change the
        choice. Then the simplest of the rest wins, which is at most as complex as
        that candidate.
        """
        order = self._order()
        simplest = int(order[0])
        found = self.replicates.against(simplest)
        others = replace(found, differences=-found.differences)
        chances = others.chance_to_be_better(self.race.max_replicates, self.level)
        can = chances >= self.race.futility
        can[simplest] = False
        if not can.any():
            return False
        if by_rule:
            return True
        can[self._leader] = True
        rank = np.argsort(order)
        stay = rank <= rank[can].max()
        found = self.replicates.against(self._leader)
        self._drop(stay, self._finishes(found, np.flatnonzero(~stay), IDLE))
        return True

    def end(self, why: str) -> RaceState:
        """Return the race with its winner: the simplest that stands."""
        running = self.state.running
        if not running:
            return replace(self.state, ended=why)
        first = int(self._order()[0])
        if len(running) > 1:
            found = self.replicates.against(self._leader)
            last = self._finishes(found, range(len(running)), STOOD)
        else:
            last = [Finish(running[0], self.state.n_replicates, STOOD, running[0], 0.0)]
        last[first] = replace(last[first], why=WON)
        return replace(
            self.state,
            ended=why,
            winner=running[first],
            finishes=(*self.state.finishes, *last),
        )

    @property
    def _leader(self) -> int:
        return int(np.argmax(self.replicates.scores.mean(axis=1)))

    def _order(self) -> NDArray[np.intp]:
        """Return the rows of those that stand, the simplest first."""
        means = self.replicates.scores.mean(axis=1)
        keys = self.simplicity[list(self.state.running)]
        return np.lexsort((-means, *keys.T[::-1]))

    def _finishes(
        self, found: ReplicateComparison, rows: Iterable[int], why: str
    ) -> list[Finish]:
        """Return how the race ends for some rows, compared with the leader."""
        factor = self.race.alpha / self.level
        p_values = np.minimum(found.p_better() * factor, 1.0)
        errors = np.sqrt(found.variances())
        leader = self._leader
        return [
            Finish(
                candidate=self.state.running[row],
                replicates=self.state.n_replicates,
                why=why,
                leader=self.state.running[leader],
                behind=float(found.differences[row]),
                standard_error=None if row == leader else float(errors[row]),
                p_value=None if row == leader else float(p_values[row]),
                part=self.part,
            )
            for row in rows
        ]

    def _drop(self, stay: NDArray[np.bool_], gone: Sequence[Finish]) -> None:
        if not gone:
            return
        left = {finish.candidate for finish in gone}
        self.state = replace(
            self.state,
            running=tuple(c for c in self.state.running if c not in left),
            finishes=(*self.state.finishes, *gone),
        )
        self.replicates = self.replicates.among(stay)
