"""The command line as a user meets it: real processes, exit codes, both streams."""

import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from skmnist import Stage
from skmnist.cli import main
from skmnist.reporting._verdict import describe_verdict
from skmnist.study import PRESETS, read_study

SKMNIST = [sys.executable, "-m", "skmnist"]
QUICK_STUDY = ["study", "--dataset", "digits", "--preset", "quick", "--epochs", "2"]
QUICK_STUDY += ["--no-baselines"]
HEAVY = {"numpy", "sklearn", "keras", "tensorflow", "rich"}


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A finished quick study on the bundled digits, run as a user would."""
    out = tmp_path_factory.mktemp("cli") / "study"
    finished = subprocess.run(
        [
            *SKMNIST,
            *QUICK_STUDY,
            *("--out", out),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    return out, finished


def test_study_succeeds_and_keeps_library_noise_off_the_terminal(quick):
    _, finished = quick
    assert finished.returncode == 0
    # Nothing but a line about the progress now and then.
    for line in finished.stderr.splitlines():
        assert re.match(r"stage \S+.* fits, .* left in it", line), line


def test_first_line_names_the_data(quick):
    _, finished = quick
    assert finished.stdout.startswith("Data: digits, 1,437 training and 360 test")


def test_every_stage_ends_with_its_winner_and_why(quick):
    _, finished = quick
    assert finished.stdout.count("Chosen by") == 8


def test_end_names_the_files_that_are_there(quick):
    out, finished = quick
    lines = finished.stdout.splitlines()
    (line,) = (line for line in lines if line.startswith("Written to"))
    named = line.split(": ")[1].split(", ")
    there = [path.name for path in out.iterdir() if not path.name.startswith(".")]
    assert sorted(named) == sorted(there)
    assert {"report.md", "report.html", "draw.html"} <= set(named)
    assert f"To read: {out / 'report.html'}" in lines


def test_report_prints_the_page_that_the_study_left(quick, capsys):
    out, _ = quick
    assert main(["report", str(out)]) == 0
    assert capsys.readouterr().out == (out / "report.md").read_text()


def test_report_as_json_is_what_the_folder_holds(quick, capsys):
    out, _ = quick
    assert main(["report", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["folder"] == str(out)
    assert document["header"] == json.loads((out / "study.json").read_text())
    assert document["summary"] == json.loads((out / "summary.json").read_text())
    assert len(document["rows"]) == document["summary"]["n_candidates"]


def test_study_as_json_is_one_document_and_its_progress_is_apart(quick, capfd):
    out, _ = quick
    # The study is finished: the same command reads it from its folder.
    assert main([*QUICK_STUDY, "--out", str(out), "--json"]) == 0
    captured = capfd.readouterr()
    document = json.loads(captured.out)
    assert document["summary"]["final"]["test_accuracy"] > 0.5
    assert captured.err.startswith("Data: digits")


def test_report_writes_the_pages_again(quick, capsys):
    out, _ = quick
    pages = [out / name for name in ("report.md", "report.html", "draw.html")]
    before = [page.read_text() for page in pages]
    for page in pages:
        page.unlink()
    assert main(["report", str(out)]) == 0
    assert [page.read_text() for page in pages] == before
    written = ", ".join(map(str, pages))
    assert capsys.readouterr().err == f"Written: {written}\n"


def test_report_of_two_studies_is_what_differs(quick, capsys):
    out, _ = quick
    assert main(["report", str(out), str(out)]) == 0
    printed = capsys.readouterr().out
    assert "They have the same configuration, data and versions." in printed
    assert "no more than chance (p = 1, exact McNemar test)" in printed


def test_page_that_cannot_be_written_names_the_way_out(quick, tmp_path, capsys):
    missing = tmp_path / "absent" / "page.html"
    assert main(["report", str(quick[0]), "--html", str(missing)]) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_another_study_in_the_folder_is_refused(quick, capsys):
    out, _ = quick
    assert main(["study", "--dataset", "digits", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "config.preset is 'quick' there and 'full' now" in error


def test_the_same_command_again_prints_the_same_results(quick, capsys):
    out, finished = quick
    assert main([*QUICK_STUDY, "--out", str(out)]) == 0

    def but_the_time(text):
        return [line for line in text.splitlines() if " fits in " not in line]

    assert but_the_time(capsys.readouterr().out) == but_the_time(finished.stdout)


def test_fresh_starts_over_beside_the_study(quick, monkeypatch):
    only = Stage("width", {"widths": [4]})
    monkeypatch.setitem(PRESETS, "quick", lambda: [only])
    before = {path.name for path in quick[0].parent.iterdir()}
    assert main([*QUICK_STUDY, "--fresh", "--out", str(quick[0]), "--quiet"]) == 0
    new = {path.name for path in quick[0].parent.iterdir()} - before
    assert new == {"study-2"}
    assert [stage.name for stage in read_study(quick[0].parent / "study-2").stages] == [
        "width"
    ]


def test_the_last_lines_are_the_verdict(tmp_path, monkeypatch, capfd, small_baselines):
    monkeypatch.setitem(PRESETS, "quick", lambda: [Stage("width", {"widths": [4, 8]})])
    out = tmp_path / "study"
    wanted = [word for word in QUICK_STUDY if word != "--no-baselines"]
    assert main([*wanted, "--out", str(out)]) == 0
    printed, said = capfd.readouterr()
    sentences = describe_verdict(read_study(out))
    assert printed.splitlines()[-4:] == ["", *sentences]
    assert sentences[0].count("pp ") == 2
    assert [line for line in said.splitlines() if line.startswith("For the")] == [
        "For the verdict: fitting KerasMLPClassifier()",
        "For the verdict: fitting MLPClassifier()",
    ]
    report = (out / "report.md").read_text()
    assert report.splitlines()[2].startswith(sentences[0][:40])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["study", "--preset", "grand"], "grand"),
        (["study", "--seed", "-1"], "-1"),
        (["study", "--n-jobs", "0"], "--n-jobs"),
        (["study", "--nonsense"], "--nonsense"),
        (["study", "--dataset", "absent.npz"], "absent.npz"),
        (["study", "--dataset", "cifar"], "cifar"),
        (["report", "absent"], "no study"),
        (["report", "absent", "other"], "no study"),
        (["report", "absent", "other", "--html", "page.html"], "single study"),
        (["dance"], "dance"),
    ],
)
def test_wrong_use_gets_status_2_and_names_the_trouble(
    arguments, complaint, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert complaint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_bad_data_get_one_line_and_leave_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("bad.npz", X=np.full((40, 4), np.nan), y=np.arange(40) % 2)
    assert main(["study", "--dataset", "bad.npz"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bad.npz"]


def test_auto_falls_back_to_the_digits_and_says_so(tmp_path):
    # No folder, no cache, and no network: the home is empty.
    environment = {**os.environ, "HOME": str(tmp_path), "KERAS_HOME": str(tmp_path)}
    environment.pop("SKMNIST_DATA", None)
    command = (
        "from skmnist.datasets import load_dataset; print(load_dataset('auto').note)"
    )
    started = time.monotonic()
    finished = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, env=environment
    )
    # Ten seconds for the network, the rest for starting Python and Keras.
    assert time.monotonic() - started < 40
    if "digits" not in finished.stdout:
        pytest.skip("the network is there: MNIST was downloaded")
    assert "stand in for MNIST" in finished.stdout


def test_help_needs_no_heavy_import():
    command = (
        "import sys; from skmnist.cli import main; main(['study', '--help']); "
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True
    )
    assert finished.stdout.splitlines()[-1] == "[]"
