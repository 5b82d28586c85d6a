"""What a report opens with: the verdict, and how to run the study again."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from .._format import as_percent, visible, with_error
from ..datasets._registry import AUTO
from ..stats._compare import ALPHA
from ..study._columns import UNITS
from ..study._config import StudyConfig
from ..study._records import (
    BaselineVerdict,
    StageFinding,
    StudyHeader,
    StudyVerdict,
)
from ..study._storage import Study
from ..study._verdict import judge_study
from ..study.presets._presets import PRESETS, title_of

GLOSSARY = {
    "gap": "validation accuracy minus the accuracy that judged. A large gap is a sign "
    "that the network fits the samples that stopped its training better than others.",
    "held-out": "samples of the training data that a candidate neither trained nor "
    "stopped with. They judge the candidates, so the test set can stay unread until "
    "the end.",
    "p": "how often chance alone makes a difference at least this large, if two "
    "classifiers are equally good. Below 0.05 we say that they differ.",
    "pp": "percentage points. From 97 % to 98 % is 1 pp.",
    "replicate": "one more fit of the same candidate, with another seed or on another "
    "split. Only replicates show how much of an accuracy is luck.",
    "tie": "two candidates whose difference can be chance (p of 0.05 or more). A tie "
    "does not show that they are equal, only that so few samples cannot tell them "
    "apart.",
    "±": "one standard error: how far a number typically is from what infinitely many "
    "samples would give.",
}


def verdict_of(study: Study) -> StudyVerdict:
    """Return the verdict that a study has kept, or what its stages say so far."""
    if study.summary is not None and study.summary.verdict is not None:
        return study.summary.verdict
    return judge_study(study)


def describe_verdict(study: Study) -> list[str]:
    """Say in three sentences what searching brought.

    Parameters
    ----------
    study : Study
        A study, finished or not.

    Returns
    -------
    sentences : list of str
        What the final model is worth beside classifiers that nobody tuned; which
        stages made a difference; which choices are ties.
    """
    verdict = verdict_of(study)
    sentences = [
        _what_searching_brought(study, verdict),
        _what_stages_brought(verdict.stages),
        _which_are_ties(study, verdict.stages),
    ]
    return [visible(sentence) for sentence in sentences if sentence]


def _what_searching_brought(study: Study, verdict: StudyVerdict) -> str:
    if study.summary is None:
        return "What searching brings is known when the study is finished."
    found = verdict.baselines
    if not found:
        why = verdict.left_out or "this study has no baselines"
        return f"What searching brought is not known: {why}."
    accuracy = as_percent(study.summary.final.test_accuracy)
    sentence = (
        f"{_headline(found)}: the final model gets {accuracy} of the test samples "
        f"right, {_listed([_against(one) for one in found])}"
    )
    if verdict.left_out:
        sentence += f"; {verdict.left_out}"
    if study.header.optimistic:
        sentence += "; this is optimistic, because the test set chose the candidates"
    return f"{sentence}."


def _headline(found: Sequence[BaselineVerdict]) -> str:
    """Say whether searching paid; it must do so against all to have paid."""
    if any(one.is_significant and one.gain < 0 for one in found):
        return "Searching did not pay"
    if all(one.is_significant for one in found):
        return "Searching paid"
    return "It is not clear that searching paid"


def _against(one: BaselineVerdict) -> str:
    """Compare the final model with a baseline."""
    p = f"p {_is(one.p_value)}"
    if not one.is_significant:
        p += ", can be chance"
    more = "less" if one.gain < 0 else "more"
    points = with_error(f"{100 * abs(one.gain):.2f}", one.gain_error, "pp")
    accuracy = as_percent(one.test_accuracy)
    return f"{points} {more} than the untuned {one.name} ({accuracy}; {p})"


def _is(p_value: float) -> str:
    text = UNITS["p"](p_value)
    return text if text.startswith("<") else f"= {text}"


def _what_stages_brought(stages: Sequence[StageFinding]) -> str:
    if not stages:
        return "No stage is done yet."
    if all(one.p_value is None for one in stages):
        return "No stage is known to have made a difference."
    made = [_gained(one) for one in stages if one.made_difference]
    few = f"{len(made)} of {len(stages)} stages"
    sentence = f"{few} made a difference: {_listed(made)}"
    if not made:
        sentence = (
            "No stage made a difference: where one chose something better than it "
            "began with, that can be chance"
        )
    paid = [_gained(one) for one in stages if _gave_up(one)]
    if paid:
        sentence += f"; by its rule, a stage gave up accuracy: {_listed(paid)}"
    return f"{sentence}."


def _gave_up(one: StageFinding) -> bool:
    """Return whether a rule chose what is less accurate by more than chance."""
    worse = one.gain is not None and one.gain < 0
    return worse and one.p_value is not None and one.p_value < ALPHA


def _gained(one: StageFinding) -> str:
    assert one.gain is not None
    return f"{title_of(one.stage)} ({100 * one.gain:+.2f} pp)"


def _which_are_ties(study: Study, stages: Sequence[StageFinding]) -> str:
    if all(one.p_value is None and not one.n_tied for one in stages):
        return ""
    ties = [title_of(one.stage) for one in stages if one.n_tied]
    if not ties:
        return "No choice is a tie."
    header = study.header
    judges = f"{header.n_judging:,} {header.judged_by} samples"
    what = "choice is a tie" if len(ties) == 1 else "choices are ties"
    return (
        f"{len(ties)} {what} with other candidates, as far as {judges} can tell: "
        f"{_listed(ties)}."
    )


def _listed(words: Sequence[str]) -> str:
    """Join words as in a sentence."""
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last


def describe_command(header: StudyHeader) -> str:
    """Return the command that runs a study again, in a folder of its own.

    Parameters
    ----------
    header : StudyHeader
        What the study has recorded of itself.

    Returns
    -------
    command : str
        Empty if its stages are those of a script, which no command knows.
    """
    config = header.config
    if config.preset not in PRESETS:
        return ""
    given = {field.name: field.default for field in fields(StudyConfig)}
    given = {
        name: getattr(config, name)
        for name, default in given.items()
        if (name in _ALWAYS or getattr(config, name) != default)
        and getattr(config, name) is not None
    }
    if config.dataset == AUTO:
        given["dataset"] = header.data.name
    words = ["skmnist", "study"]
    for name, value in given.items():
        words += _option(name, value)
    return visible(shlex.join([*words, "--fresh"]))


# What another version may have other defaults for.
_ALWAYS = ("dataset", "preset", "protocol", "seed", "epochs")


def _option(name: str, value: Any) -> list[str]:
    """Return the words of an option of ``skmnist study``."""
    option = f"--{name.replace('_', '-')}"
    if name == "baselines":
        return [option if value else "--no-baselines"]
    if isinstance(value, dict):
        return [w for key, n in value.items() for w in (option, f"{key}={n}")]
    if name == "time_budget":
        value = math.ceil(value)
    return [option, str(value)]
