"""How a search whose stages race shares its time among them."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ._race import Race

# The fewest replicates that can be compared, and the fewest candidates.
FEWEST = 2
# The shortest race. Fits that only give the winner's score are not among them: they
# are part of what a fit takes, see `Pace.keep`.
FITS_OF_RACE = FEWEST * FEWEST


@dataclass(frozen=True)
class Share:
    """The time of one stage.

    Parameters
    ----------
    seconds : float
        How long the stage may race. Its first look is made in any case.
    seconds_per_fit : float or None
        What a fit takes, after the fits so far; None before the first one.
    """

    seconds: float
    seconds_per_fit: float | None

    def shortened(self, race: Race, n_candidates: int) -> tuple[Race, int]:
        """Make a race short enough for its first look.

        Parameters
        ----------
        race : Race
            How the stage races.
        n_candidates : int
            How many candidates it has.

        Returns
        -------
        race : Race
            With a first look after fewer replicates and no rungs, if there is no time
            for more.
        n_candidates : int
            How many candidates there is time for.
        """
        if not self.seconds_per_fit:
            return race, n_candidates
        n_fits = max(self.seconds, 0.0) / self.seconds_per_fit
        if n_candidates * race.min_replicates <= n_fits:
            return race, n_candidates
        possible = int(n_fits) // n_candidates
        race = replace(race, min_replicates=max(FEWEST, possible), rungs=())
        return race, min(n_candidates, max(FEWEST, int(n_fits) // FEWEST))


class Pace:
    """The time that a search has, and how fast its fits are.

    Parameters
    ----------
    deadline : float or None
        When the search ends, in seconds since the epoch; None without a limit.
    """

    def __init__(self, deadline: float | None) -> None:
        self.deadline = deadline
        self.seconds_per_fit: float | None = None  # of one that costs 1

    def share(self, weights: Sequence[float], cost: float = 1.0) -> Share | None:
        """Return the time of the next stage.

        Parameters
        ----------
        weights : sequence of float
            What the stages that are left need, in any unit; the next one first.
        cost : float, default=1.0
            What a fit of the next stage costs.

        Returns
        -------
        share : Share or None
            Its part of the time that is left; None without a limit.
        """
        if self.deadline is None:
            return None
        left = self.deadline - time.time()
        each = None if self.seconds_per_fit is None else self.seconds_per_fit * cost
        return Share(left * weights[0] / sum(weights), each)

    def passes_over(self, costs: Sequence[float], priorities: Sequence[float]) -> bool:
        """Return whether there is no time for the next stage.

        Parameters
        ----------
        costs : sequence of float
            What a fit costs of each stage that is left; the next one first.
        priorities : sequence of float
            Their priorities.

        Returns
        -------
        passed_over : bool
            False without a limit, and before the first fit.
        """
        if self.deadline is None or self.seconds_per_fit is None:
            return False
        each = FITS_OF_RACE * self.seconds_per_fit
        left = self.deadline - time.time()
        return is_passed_over([each * cost for cost in costs], priorities, left)

    def keep(self, seconds: float, costs: float) -> None:
        """Keep how long the fits of a stage took, and what they cost together."""
        if costs:
            self.seconds_per_fit = seconds / costs


def is_passed_over(
    needs: Sequence[float], priorities: Sequence[float], seconds: float
) -> bool:
    """Return whether there is no time for the next stage, because others matter more.

    Parameters
    ----------
    needs : sequence of float
        Seconds that the shortest race of each stage takes that is left; the next one
        first.
    priorities : sequence of float
        Their priorities.
    seconds : float
        The time that is left.

    Returns
    -------
    passed_over : bool
        Stages are left out from the lowest priority upwards until there is time for
        the others; of equal ones, the later first.

    Examples
    --------
    >>> from skmnist.model_selection._pace import is_passed_over
    >>> is_passed_over([10, 10, 10], [1, 2, 2], 25)
    True
    >>> is_passed_over([10, 10, 10], [1, 2, 2], 30)
    False
    >>> is_passed_over([10, 10, 10], [1, 1, 1], 10)
    False
    """
    by_worth = sorted(range(len(needs)), key=lambda i: (-priorities[i], i))
    spent = 0.0
    for n_better, i in enumerate(by_worth):
        spent += needs[i]
        if i == 0:
            # The one that matters most is tried in any case.
            return n_better > 0 and spent > seconds
    return False


def first_ones(n: int, n_wanted: int, keep: int | None) -> list[int]:
    """Return the first positions, with one that must be among them.

    Parameters
    ----------
    n : int
        Number of positions.
    n_wanted : int
        How many to return, at least one.
    keep : int or None
        A position that is always returned.

    Returns
    -------
    positions : list of int
        In rising order.

    Examples
    --------
    >>> from skmnist.model_selection._pace import first_ones
    >>> first_ones(9, 3, None), first_ones(9, 3, 7)
    ([0, 1, 2], [0, 1, 7])
    """
    found = list(range(min(n, n_wanted)))
    if keep is not None and keep not in found:
        found[-1] = keep
    return found
