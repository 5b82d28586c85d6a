"""Two studies side by side: configurations, stages, final models."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from typing import NamedTuple

from scipy.stats import binomtest

from .._format import candidate_name, with_error
from ..study._artifacts import Evidence
from ..study._presets import title_of
from ..study._storage import Study, flat
from ..study._uncertainty import SIGNIFICANT, standard_error
from ._text import Table, as_code, in_markdown, markdown_table


class Difference(NamedTuple):
    """The difference of two final models on the test set.

    Attributes
    ----------
    value : float
        Test accuracy of the first model minus the one of the second.
    error : float
        Its standard error.
    p_value : float or None
        p-value of McNemar's exact test, two-sided; None where it is not known which
        samples the models misread.
    only_first, only_second : int or None
        Numbers of test samples that only one of them classifies correctly.
    """

    value: float
    error: float
    p_value: float | None
    only_first: int | None
    only_second: int | None


Pair = tuple[Evidence, Evidence]


def compare_final(first: Study, second: Study, evidence: Pair) -> Difference:
    """Compare the final models of two studies.

    Parameters
    ----------
    first, second : Study
        Finished studies.
    evidence : tuple of (Evidence, Evidence)
        What their folders have besides.

    Returns
    -------
    difference : Difference
        Paired, if both folders have the predictions for the same test set.

    Notes
    -----
    Let `b` and `c` be the numbers of samples that only the first or only the second
    model classifies correctly, among `n`. The difference is ``(b - c) / n`` with the
    standard error ``sqrt(b + c - (b - c)**2 / n) / n``; McNemar's test asks whether
    `b` could come from ``b + c`` throws of a fair coin [1]_. Without the predictions
    the two are taken for independent, which makes the error too large where both saw
    the same samples.

    References
    ----------
    .. [1] T. G. Dietterich, "Approximate Statistical Tests for Comparing Supervised
       Classification Learning Algorithms", Neural Computation 10, 1895-1923, 1998.
       https://doi.org/10.1162/089976698300017197
    """
    a, b = (study.summary.final for study in (first, second))
    value = a.test_accuracy - b.test_accuracy
    kept = [one.predictions for one in evidence]
    if None in kept or not _same_data(first, second):
        error = math.hypot(a.standard_error, b.standard_error)
        return Difference(value, error, None, None, None)
    right, also_right = (one.true == one.predicted for one in kept)
    n_first = int((right & ~also_right).sum())
    n_second = int((also_right & ~right).sum())
    n, apart = len(right), n_first + n_second
    error = math.sqrt(apart - (n_first - n_second) ** 2 / n) / n
    p_value = binomtest(n_first, apart).pvalue if apart else 1.0
    return Difference(value, error, p_value, n_first, n_second)


def to_comparison(
    first: Study, second: Study, evidence: Pair, names: tuple[str, str]
) -> str:
    """Write a Markdown page about the differences of two studies.

    Parameters
    ----------
    first, second : Study
        Two studies, finished or not.
    evidence : tuple of (Evidence, Evidence)
        What their folders have besides.
    names : tuple of (str, str)
        What to call them, such as their folders.

    Returns
    -------
    page : str
        Markdown: what differs in the configuration, what each stage chose and how
        accurate it is, and the difference of the final models.
    """
    differing = configuration_table(first, second, names)
    parts = [
        "# Two studies",
        f"A is {as_code(names[0])}, B is {as_code(names[1])}.",
        "## Configuration",
        markdown_table(differing)
        if differing.rows
        else "They have the same configuration, data and versions.",
        "## Stage by stage",
        markdown_table(stages_table(first, second)),
        "± is one standard error of an accuracy on the samples that judged. For a "
        "difference it takes the two accuracies for independent.",
        "## Final models",
        describe_final_difference(first, second, evidence),
    ]
    return "\n\n".join(parts) + "\n"


def configuration_table(first: Study, second: Study, names: tuple[str, str]) -> Table:
    """Show in Markdown what differs in two studies' configurations and data."""
    there, here = (flat(study.header.as_dict()) for study in (first, second))
    rows = [
        [
            in_markdown(str(one))
            for one in (name, there.get(name, ""), here.get(name, ""))
        ]
        for name in dict.fromkeys([*there, *here])
        if there.get(name) != here.get(name)
    ]
    return Table(["", *map(in_markdown, names)], rows, None)


def stages_table(first: Study, second: Study) -> Table:
    """Show in Markdown the winners of two studies, and their differences."""
    names = dict.fromkeys(s.name for study in (first, second) for s in study.stages)
    rows = []
    for name in names:
        winners = [_winner_of(study, name) for study in (first, second)]
        rows.append([in_markdown(title_of(name)), *_cells(winners), _apart(winners)])
    return Table(["stage", "A chose", "A", "B chose", "B", "A - B"], rows, None)


def describe_final_difference(first: Study, second: Study, evidence: Pair) -> str:
    """Describe the difference of two final models in a few sentences."""
    if first.summary is None or second.summary is None:
        return "At least one of the studies is not finished."
    accuracies = [
        _accuracy(final.test_accuracy, final.standard_error)
        for final in (study.summary.final for study in (first, second))
    ]
    apart = compare_final(first, second, evidence)
    line = (
        f"On the test set A reaches {accuracies[0]}, B {accuracies[1]}: a difference "
        f"of {_difference(apart.value, apart.error)}."
    )
    if apart.p_value is None:
        noise = abs(apart.value) <= SIGNIFICANT * apart.error
        verdict = "no more than noise" if noise else "more than noise (5 % level)"
        why = (
            "as if they had read different samples, for a folder lacks predictions.npz"
            if _same_data(first, second)
            else "on different test sets"
        )
        return f"{line} Taken {why}, that is {verdict}."
    return (
        f"{line} {apart.only_first} samples only A classifies correctly, "
        f"{apart.only_second} only B (exact McNemar test: p = {apart.p_value:.2g})."
    )


def _same_data(first, second):
    fingerprints = [study.header.data.fingerprint for study in (first, second)]
    return fingerprints[0] == fingerprints[1]


def _winner_of(study, name):
    """Return a stage of that name, its winner and the standard error; or None."""
    for stage in study.stages:
        if stage.name == name:
            winner = study.winner_of(stage)
            return stage, winner, standard_error(study, winner)
    return None


def _cells(winners):
    for found in winners:
        if found is None:
            yield from ("", "")
            continue
        stage, winner, error = found
        chosen = {name: winner.params[name] for name in stage.tried}
        yield in_markdown(candidate_name(chosen))
        yield _accuracy(winner.accuracy, error)


def _apart(winners):
    if None in winners:
        return ""
    (_, first, error), (_, second, other_error) = winners
    difference = first.accuracy - second.accuracy
    return _difference(difference, math.hypot(error, other_error))


def _accuracy(accuracy, error):
    return with_error(f"{100 * accuracy:.2f}", error, "%")


def _difference(difference, error):
    return with_error(f"{100 * difference:+.2f}", error, "pp")
