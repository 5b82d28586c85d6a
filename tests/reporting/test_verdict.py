"""What a report opens with: three sentences, and a command."""

import shlex
from dataclasses import replace

import pytest

from skmnist.cli._study import _config, study as study_command
from skmnist.reporting import to_html, to_markdown
from skmnist.reporting._verdict import GLOSSARY, describe_command, describe_verdict
from skmnist.study import (
    PRESETS,
    FinalModel,
    Study,
    StudyConfig,
    StudyData,
    StudyHeader,
    StudySummary,
    read_study,
)
from skmnist.study._artifacts import Evidence
from skmnist.study._baselines import NO_TIME, NOT_WANTED
from skmnist.study._records import BaselineVerdict, StageFinding, StudyVerdict

DATA = StudyData("digits", "", "abc", n_train=1437, n_test=360, n_features=784)
HEADER = StudyHeader(
    schema=1,
    config=StudyConfig(dataset="digits"),
    data=DATA,
    stages=["optimizer", "batch_size"],
    optimistic=False,
    threads_per_fit=2,
    versions={"keras": "3.15.1"},
)


def against(gain, p_value, name="KerasMLPClassifier()"):
    return BaselineVerdict(
        name=name,
        test_accuracy=0.97 - gain,
        n_iter=3,
        seconds=1.0,
        gain=gain,
        gain_error=0.002,
        p_value=p_value,
    )


def found(stage, gain, p_value, n_tied=0):
    better = gain is not None and gain > 0 and p_value < 0.05
    return StageFinding(
        stage=stage, gain=gain, p_value=p_value, made_difference=better, n_tied=n_tied
    )


def a_study(baselines=(), stages=(), left_out="", header=HEADER):
    verdict = StudyVerdict(
        baselines=list(baselines), left_out=left_out, stages=list(stages)
    )
    summary = StudySummary(
        data=DATA,
        protocol="holdout",
        best_params={},
        winners={},
        final=FinalModel(0.97, 0.01, None, 3, 2, "over", 100, 1.0),
        n_candidates=1,
        n_fits=2,
        seconds=3.0,
        verdict=verdict,
    )
    return Study(header, [], [], summary)


def test_searching_that_paid_says_by_how_much_against_each():
    both = [against(0.012, 0.0004), against(0.008, 0.01, "MLPClassifier()")]
    assert describe_verdict(a_study(both))[0] == (
        "Searching paid: the final model gets 97.00 % of the test samples right, "
        "1.20 ± 0.20 pp more than the untuned KerasMLPClassifier() (95.80 %; "
        "p < 0.001) and 0.80 ± 0.20 pp more than the untuned MLPClassifier() "
        "(96.20 %; p = 0.01)."
    )


@pytest.mark.parametrize(
    ("gains", "beginning"),
    [
        ([(0.01, 0.001), (0.01, 0.049)], "Searching paid"),
        ([(0.01, 0.001), (0.01, 0.05)], "It is not clear that searching paid"),
        ([(-0.01, 0.3), (0.0, 1.0)], "It is not clear that searching paid"),
        ([(0.01, 0.001), (-0.01, 0.01)], "Searching did not pay"),
        ([(-0.01, 0.01)], "Searching did not pay"),
    ],
)
def test_the_first_words_follow_the_tests(gains, beginning):
    first = describe_verdict(a_study([against(*one) for one in gains]))[0]
    assert first.startswith(f"{beginning}: the final model")
    assert first.count("can be chance") == sum(p >= 0.05 for _, p in gains)
    assert first.count("pp less") == sum(gain < 0 for gain, _ in gains)


def test_what_is_left_out_is_said():
    none = describe_verdict(a_study(left_out=NOT_WANTED))[0]
    assert none == f"What searching brought is not known: {NOT_WANTED}."
    one = describe_verdict(a_study([against(0.01, 0.01)], left_out=NO_TIME))[0]
    assert one.endswith(f"p = 0.01); {NO_TIME}.")


def test_a_test_set_that_chose_is_no_fair_judge():
    header = replace(HEADER, optimistic=True)
    first = describe_verdict(a_study([against(0.01, 0.01)], header=header))[0]
    assert first.endswith(
        "this is optimistic, because the test set chose the candidates."
    )


def test_stages_that_made_a_difference_and_ties_are_named():
    stages = [
        found("optimizer", 0.012, 0.001),
        found("batch_size", -0.004, 0.02, n_tied=2),
        found("epochs", 0.001, 0.7, n_tied=1),
    ]
    assert describe_verdict(a_study(stages=stages))[1:] == [
        "1 of 3 stages made a difference: Optimizer (+1.20 pp); by its rule, a stage "
        "gave up accuracy: Batch size (-0.40 pp).",
        "2 choices are ties with other candidates, as far as 1,150 held-out samples "
        "can tell: Batch size and Number of epochs.",
    ]


def test_no_difference_and_no_tie():
    stages = [found("optimizer", 0.0, 0.9)]
    _, second, third = describe_verdict(a_study(stages=stages))
    assert second.startswith("No stage made a difference")
    assert third == "No choice is a tie."


def test_an_older_study_and_one_that_runs_say_what_they_know():
    older = a_study(stages=[found("optimizer", None, None)])
    older = replace(older, summary=replace(older.summary, verdict=None))
    assert describe_verdict(older)[0] == (
        "What searching brought is not known: this study has no baselines."
    )
    running = replace(older, summary=None)
    assert describe_verdict(running) == [
        "What searching brings is known when the study is finished.",
        "No stage is done yet.",
    ]


def test_pages_open_with_the_verdict_and_end_with_the_words(tiny_study):
    study = read_study(tiny_study)
    sentences = describe_verdict(study)
    assert len(sentences) == 3
    markdown = to_markdown(study)
    assert markdown.splitlines()[2].startswith(sentences[0][:60])
    assert markdown.splitlines()[-len(GLOSSARY) :] == [
        f"- **{word}**: {meaning}" for word, meaning in GLOSSARY.items()
    ]
    page = to_html(study, Evidence(), figures=False)
    places = [page.index(sentences[2][:30]), page.index("What was searched")]
    places += [page.index(f"<dt>{word}</dt>") for word in GLOSSARY]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "config",
    [
        StudyConfig(dataset="digits"),
        StudyConfig(dataset="my file's.npz", pixels="0..16", preset="accuracy"),
        StudyConfig("mnist", "/data/mnist", protocol="report", n_jobs=-1, seed=7),
        StudyConfig("digits", n_iter=3, epochs=5, time_budget=90.0, baselines=False),
        StudyConfig("digits", n_iter={"optimizer": 2, "epochs": 1}),
        StudyConfig("digits", backend="dask", scheduler="tcp://here:1"),
    ],
    ids=lambda config: describe_command(replace(HEADER, config=config)),
)
def test_the_command_runs_the_same_study(config):
    words = shlex.split(describe_command(replace(HEADER, config=config)))
    assert words[:2] == ["skmnist", "study"]
    options = study_command.make_context("study", words[2:]).params
    assert options["fresh"]
    options = {n: options[n] for n in [*StudyConfig.__dataclass_fields__]}
    assert _config(options) == config


def test_data_that_stood_in_are_named():
    header = replace(HEADER, config=StudyConfig())
    assert "--dataset digits" in describe_command(header)


def test_stages_of_a_script_have_no_command(monkeypatch):
    monkeypatch.setitem(PRESETS, "mine", PRESETS["quick"])
    header = replace(HEADER, config=StudyConfig(preset="mine"))
    monkeypatch.delitem(PRESETS, "mine")
    assert describe_command(header) == ""
    assert "To run it again" not in to_markdown(replace(a_study(), header=header))
