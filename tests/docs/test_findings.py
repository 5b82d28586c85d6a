"""The page about the report's decisions: made from runs, and the runs themselves."""

# SPDX-License-Identifier: BSD-3-Clause

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skmnist.stats._tests import Comparison, runs_test

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def findings():
    spec = importlib.util.spec_from_file_location("findings", DOCS / "findings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_made_from_the_committed_runs(findings):
    assert (DOCS / "findings.md").read_text(encoding="utf-8") == findings.page()


def quick(folder):
    """Make the quick version in a process of its own, as a user would."""
    command = [sys.executable, DOCS / "findings.py", "--quick", "--results", folder]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.long
def test_a_quick_version_runs_and_goes_on_where_it_was(tmp_path):
    first = quick(tmp_path)
    assert first.returncode == 0, first.stderr
    # Two decisions with five candidates, one of them in both: four networks of two
    # seeds.
    assert first.stdout.count("\n") == 8
    runs = (tmp_path / "runs.jsonl").read_text()
    assert "## 1. A tenth for validation" in (tmp_path / "findings.md").read_text()
    # As if the process had ended in the middle of the last line.
    (tmp_path / "runs.jsonl").write_text(runs[:-30])
    assert quick(tmp_path).stdout.count("\n") == 1
    assert (tmp_path / "runs.jsonl").read_text() == runs


def test_runs_of_other_versions_are_not_mixed(findings, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "1")
    (tmp_path / "about.json").write_text("{}")
    with pytest.raises(SystemExit, match="runs of other data or other versions"):
        findings.run_missing(tmp_path, **findings.QUICK)


def some_runs(findings, decision, accuracies, n_test=2000):
    """Make three runs of each candidate, of about these accuracies."""
    runs = {}
    for i, (accuracy, params) in enumerate(
        zip(accuracies, decision.candidates.values(), strict=True)
    ):
        for seed in range(3):
            rng = np.random.default_rng([i, seed])
            misread = np.flatnonzero(rng.random(n_test) > accuracy)
            runs[findings.key_of(params), seed] = {
                "params": params,
                "seed": seed,
                "accuracy": 1 - len(misread) / n_test,
                "n_iter": 5,
                "misread": misread.tolist(),
            }
    return runs


def test_a_decision_is_judged_by_all_its_runs(findings):
    (decision,) = (d for d in findings.DECISIONS if d.stage == "validation_split")
    runs = some_runs(findings, decision, [0.95, 0.90, 0.95])
    judged = findings.judge(decision, runs, 2000)
    right = [
        findings.correctness(params, runs, 2000)
        for params in decision.candidates.values()
    ]
    found, p, ahead = judged["split 0.05"]
    assert found == runs_test(right[0], right[1])
    assert p == pytest.approx(2 * found.p_value)
    assert ahead == 1
    assert findings.verdict(judged) == (
        "**Stands** against *split 0.05*; **open** (too few runs) against *split 0.2*."
    )


def found(difference, p, n_runs=10):
    counts = {"runs_first": 10, "runs_second": n_runs}
    return Comparison("test", difference, 0.0, (0.0, 0.0), p, counts), p, 0.5


@pytest.mark.parametrize(
    "judged, sentence",
    [
        ({"b": found(0.1, 0.01)}, "**Stands** against *b*."),
        ({"b": found(-0.1, 0.2)}, "**Noise** against *b*."),
        ({"b": found(0.1, 0.2, 9)}, "**Open** (too few runs) against *b*."),
        (
            {"b": found(-0.1, 0.01), "c": found(0.1, 0.01), "d": found(0.1, 0.2)},
            "**Wrong** against *b*; **stands** against *c*; **noise** against *d*.",
        ),
    ],
)
def test_the_verdict_says_what_stands(findings, judged, sentence):
    assert findings.verdict(judged) == sentence


def test_the_report_s_own_figures_stand_beside_ours(findings):
    figures = {d.stage: findings._reported(d) for d in findings.DECISIONS}
    assert figures["depth_width"]["2 x 400"] == 0.9814
    assert figures["node_distribution"]["700, 100"] == 0.9802
    assert figures["optimizer"]["sgd"] == 0.9498
    assert figures["epochs"] == {
        "7 epochs": 0.9814,
        "first rise": None,
        "20 epochs": None,
    }
    # Every other candidate is one of the report's.
    assert None not in {
        figure
        for stage, by_name in figures.items()
        if stage != "epochs"
        for figure in by_name.values()
    }


def test_runs_that_are_too_few_make_no_page(findings, tmp_path):
    (decision,) = (d for d in findings.DECISIONS if d.stage == "initializers")
    about = {"stages": ["initializers"], "n_test": 10}
    (tmp_path / "about.json").write_text(json.dumps(about))
    run = {"params": decision.candidates["he_normal"], "seed": 0}
    (tmp_path / "runs.jsonl").write_text(json.dumps(run) + "\n")
    with pytest.raises(SystemExit, match="fewer than two runs of a candidate"):
        findings.page(tmp_path)
