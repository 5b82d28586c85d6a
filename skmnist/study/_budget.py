"""How a study whose candidates race keeps to its time."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..model_selection._evaluation import BudgetSpentError
from ..model_selection._pace import FITS_OF_RACE
from ..model_selection._stage import Stage

# The part of the time that is kept for the baselines and the final network:
# where candidates train on a sample of the rows; where they train on all, and may
# distort pictures; elsewhere.
KEPT_FOR_MORE_ROWS, KEPT_FOR_PICTURES, KEPT = 0.6, 0.22, 0.15
# The part that is kept for what comes after the final network: it is saved and judged.
AFTERWARDS = 0.03
# Fits of the shortest race of the first stage, which has six candidates. So many
# structures are compiled in all.
FITS_OF_FIRST, N_COMPILED = 13, 14
# Candidates train for at least this part of the epochs that the rows need.
LEAST_PART = 0.25
# The final network trains at most so many times as long as the search found best. With
# distorted pictures, of which a sample trained the candidates, longer is better still:
# on held-out rows of MNIST 99.40 % after 33 epochs, and 99.44 % after 90.
MOST_TIMES, MOST_TIMES_DISTORTED = 4, 12
# And at least so many times, even if the study then ends late: one that has hardly
# trained is of no use to anybody.
LEAST_TIMES = 0.5
# The final network may be this much slower than its trial.
SLOWER = 1.05


class StudyClock:
    """The time of a study.

    Parameters
    ----------
    seconds : float or None
        Its time budget; None without one.
    started : float
        When it began, as `time.perf_counter` says.
    more_rows : bool, default=False
        Whether the final network trains on many more rows than a candidate.
    pictures : bool, default=False
        Whether the rows are pictures, so that the final network may distort them.
    """

    def __init__(
        self,
        seconds: float | None,
        started: float,
        *,
        more_rows: bool = False,
        pictures: bool = False,
    ) -> None:
        self.seconds, self.started, self._more_rows = seconds, started, more_rows
        if more_rows:
            self.kept = KEPT_FOR_MORE_ROWS
        else:
            self.kept = KEPT_FOR_PICTURES if pictures else KEPT

    @property
    def spent(self) -> float:
        """Seconds since the study began."""
        return time.perf_counter() - self.started

    @property
    def of_search(self) -> float | None:
        """Seconds that are left for the search; None without a budget."""
        if self.seconds is None:
            return None
        # A search that has no time says so itself.
        return max(self.seconds * (1 - self.kept) - self.spent, 1e-3)

    def too_short(self, error: TimeoutError) -> TimeoutError:
        """Say that the time of a study is too short for its first race.

        Parameters
        ----------
        error : TimeoutError
            What the search raised.

        Returns
        -------
        error : TimeoutError
        """
        spent = error.__context__
        if self.seconds is None or not isinstance(spent, BudgetSpentError):
            return error
        return TimeoutError(
            f"time_budget of {self.seconds:g} s is too short for the first race: "
            f"{spent} before its first look, and {self.kept:.0%} of the time is kept "
            "for the final network"
        )

    def final_epochs(
        self, epochs: int, seconds_each: float, *, more: bool, distorted: bool = False
    ) -> int:
        """Return how many epochs the final network trains.

        Parameters
        ----------
        epochs : int
            How many epochs the search chose.
        seconds_each : float
            What an epoch of the final network takes, estimated.
        more : bool
            Whether more epochs may be better: the longest training won.
        distorted : bool, default=False
            Whether its pictures are distorted.

        Returns
        -------
        epochs : int
            Fewer, if there is no time for so many, but at least half as many; and more,
            if there is time.
        """
        if self.seconds is None or not seconds_each > 0:
            return epochs
        left = self.seconds * (1 - AFTERWARDS) - self.spent
        possible = math.floor(left / (SLOWER * seconds_each))
        least = math.ceil(LEAST_TIMES * epochs)
        most = MOST_TIMES_DISTORTED if distorted and self._more_rows else MOST_TIMES
        return max(least, min(possible, most * epochs if more else epochs))


def affordable_epochs(
    wanted: int,
    seconds: float,
    stages: Sequence[Stage],
    each: float,
    compiling: float,
) -> int:
    """Return for how many epochs a candidate trains, so that all stages are tried.

    Parameters
    ----------
    wanted : int
        Epochs that the rows need.
    seconds : float
        Time of the search.
    stages : sequence of Stage
        Its stages.
    each : float
        Seconds of an epoch of a candidate.
    compiling : float
        Seconds that the first fit of another structure takes longer.

    Returns
    -------
    epochs : int
        At most `wanted`, and at least a quarter of it.

    Examples
    --------
    >>> from skmnist.model_selection import Stage
    >>> from skmnist.study._budget import affordable_epochs
    >>> stages = [Stage(name, {}) for name in ("widths", "rates")]
    >>> [affordable_epochs(20, time, stages, 0.1, 0.5) for time in (60, 30, 10)]
    [20, 12, 5]
    """
    first, *others = (stage.cost for stage in stages)
    n_fits = FITS_OF_FIRST * first + (FITS_OF_RACE + 1) * sum(others)
    possible = math.floor((seconds - N_COMPILED * compiling) / (each * n_fits))
    return min(wanted, max(possible, math.ceil(LEAST_PART * wanted)))


def longest_won(best_params: Mapping[str, Any], tried: list[Mapping[str, Any]]) -> bool:
    """Return whether the last stage tried no more epochs than it chose."""
    most = max(params.get("epochs", 0) for params in tried)
    return len(tried) > 1 and best_params.get("epochs") == most
