"""Two studies side by side: configurations, stages, final models."""

# SPDX-License-Identifier: BSD-3-Clause

from .._format import candidate_name, with_error
from ..stats._tests import Comparison, mcnemar_test
from ..study._artifacts import Evidence
from ..study._storage import Study, flat
from ..study._uncertainty import standard_error
from ..study.presets._presets import title_of
from ._text import Table, as_code, in_markdown, markdown_table

Pair = tuple[Evidence, Evidence]

OTHER_DATA = "The two studies have different data: their accuracies cannot be compared."


def compare_final(first: Study, second: Study, evidence: Pair) -> Comparison | None:
    """Compare the final models of two studies by McNemar's test on the test set.

    Parameters
    ----------
    first, second : Study
        Finished studies of the same data.
    evidence : tuple of (Evidence, Evidence)
        What their folders have besides.

    Returns
    -------
    found : Comparison or None
        See `skmnist.mcnemar_test`. None where a folder has no predictions of the test
        set, so that nobody knows which samples a model misread.

    Raises
    ------
    ValueError
        If the data of the two studies differ.
    """
    if not _same_data(first, second):
        raise ValueError(OTHER_DATA)
    kept = [one.predictions for one in evidence]
    if None in kept:
        return None
    return mcnemar_test(*(one.true == one.predicted for one in kept))


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
        "± is one standard error of an accuracy, over the samples that judged. A study "
        "does not keep which samples each candidate misread, so the differences of "
        "candidates are not tested.",
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
    """Show in Markdown the winners of two studies, and how far they are apart.

    There is no difference of accuracies on different data.
    """
    names = dict.fromkeys(s.name for study in (first, second) for s in study.stages)
    same, rows = _same_data(first, second), []
    for name in names:
        winners = [_winner_of(study, name) for study in (first, second)]
        apart = _apart(winners) if same else ""
        rows.append([in_markdown(title_of(name)), *_cells(winners), apart])
    return Table(["stage", "A chose", "A", "B chose", "B", "A - B"], rows, None)


def describe_final_difference(first: Study, second: Study, evidence: Pair) -> str:
    """Describe the difference of two final models in a few sentences."""
    if first.summary is None or second.summary is None:
        return "At least one of the studies is not finished."
    accuracies = [
        _accuracy(final.test_accuracy, final.standard_error)
        for final in (study.summary.final for study in (first, second))
    ]
    line = f"On the test set A reaches {accuracies[0]}, B {accuracies[1]}."
    if not _same_data(first, second):
        return f"{line} {OTHER_DATA}"
    found = compare_final(first, second, evidence)
    if found is None:
        return (
            f"{line} A folder lacks predictions.npz: whether they differ by more than "
            "chance cannot be tested."
        )
    verdict = "more than chance" if found.significant() else "no more than chance"
    only = found.counts["only_first"], found.counts["only_second"]
    apart = with_error(f"{100 * found.difference:+.2f}", found.standard_error, "pp")
    return (
        f"{line} The difference is {apart}: {verdict} (p = {found.p_value:.2g}, "
        f"{found.test}). {only[0]} samples are classified correctly by A only, "
        f"{only[1]} by B only."
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
    (_, first, _), (_, second, _) = winners
    return f"{100 * (first.accuracy - second.accuracy):+.2f} pp"


def _accuracy(accuracy, error):
    return with_error(f"{100 * accuracy:.2f}", error, "%")
