"""Studies that are killed, stopped, starved of space: nothing finished is lost."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import killing
import pytest
from killing import n_lines
from processes import processes_of, study_command, study_environment

from skmnist.cli import main
from skmnist.study import read_study
from skmnist.study._trials import FILE, read_trials

N_FITS = 15


def wait_for(condition, process=None, seconds=120):
    """Wait until something holds; a process that ends before is an error."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def start(out, mark, *options):
    return subprocess.Popen(
        study_command(out, *options),
        env=study_environment(mark),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job, as these tests may be, ignores Ctrl-C and hands
        # that down; a study in a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def untimed(path):
    """Read a table without the column that measures time."""
    with open(path, newline="") as file:
        return [
            {name: text for name, text in row.items() if name != "seconds"}
            for row in csv.DictReader(file)
        ]


def scores(out):
    return {
        (t.stage, t.candidate, t.split, t.scores["accuracy"])
        for t in read_trials(out / FILE)
    }


@pytest.mark.long
@pytest.mark.parametrize("where", ["sequential", "loky", "dask"])
def test_a_study_killed_at_five_moments_ends_as_one_that_was_not(
    where, finished_study, tmp_path, mark, request
):
    options = {"sequential": [], "loky": ["--n-jobs", "2"]}.get(where)
    if options is None:
        cluster = request.getfixturevalue("shared_cluster")
        options = ["--backend", "dask", "--scheduler", cluster.address]
    out = tmp_path / "study"
    # Any of them; the seed is there to find a failure again.
    seed = random.randrange(1000)
    print(f"seed {seed}")
    generator = random.Random(seed)
    moments = [
        (n_trials, generator.uniform(0, 0.2))
        for n_trials in sorted(generator.sample(range(N_FITS), 5))
    ]
    _, _, _, *arguments = study_command(out, *options)
    finished = subprocess.run(
        [sys.executable, killing.__file__, out / FILE, json.dumps(moments), *arguments],
        env=study_environment(mark),
        stdout=subprocess.PIPE,
        check=True,
    )
    told = json.loads(finished.stdout.splitlines()[-1])
    assert told["ends"] == [-signal.SIGKILL] * 5 + [0]
    assert untimed(out / "results.csv") == untimed(finished_study / "results.csv")
    assert scores(out) == scores(finished_study)
    if where == "dask":  # every fit was made by one of the cluster's two workers
        assert len({trial.pid for trial in read_trials(out / FILE)}) == 2
    assert read_study(out).stages == read_study(finished_study).stages
    final = [read_study(folder).summary.final for folder in (out, finished_study)]
    assert replace(final[0], seconds=0) == replace(final[1], seconds=0)
    # No fit that was finished at a kill was made again: its file is the same one.
    assert told["kept"]
    for path, written in told["kept"].items():
        assert os.stat(path).st_mtime_ns == written


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "n_jobs"),
    [(signal.SIGTERM, 143, "1"), (signal.SIGINT, 130, "2")],
)
def test_a_study_that_is_asked_to_stop(tmp_path, mark, number, status, n_jobs):
    out = tmp_path / "study"
    running = start(out, mark, "--n-jobs", n_jobs)
    try:
        wait_for(lambda: n_lines(out / FILE) >= 3, running)
        n_before = n_lines(out / FILE)
        asked = time.monotonic()
        running.send_signal(number)
        _, errors = running.communicate(timeout=30)
        took = time.monotonic() - asked
    finally:
        running.kill()
    assert running.returncode == status
    # It has two seconds; the rest is for a machine that has other things to do.
    assert took < 10
    lines = errors.splitlines()
    assert lines[-2] == "Stopped; every finished fit is kept. To go on:"
    assert lines[-1].split()[:2] == ["skmnist", "study"]
    assert str(out) in lines[-1]
    assert "Traceback" not in errors
    assert len(read_trials(out / FILE)) >= n_before
    wait_for(lambda: not processes_of(mark), seconds=10)


@pytest.mark.long
def test_a_study_survives_a_worker_that_is_killed(finished_study, tmp_path, mark):
    out = tmp_path / "study"
    running = start(out, mark, "--n-jobs", "2")
    wait_for(lambda: n_lines(out / FILE) >= 2, running)
    workers = [
        process
        for process in processes_of(mark)
        if process.pid != running.pid and "tracker" not in " ".join(process.cmdline())
    ]
    workers[0].send_signal(signal.SIGKILL)
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 0
    assert "was killed. Its fit is tried again" in errors
    assert untimed(out / "results.csv") == untimed(finished_study / "results.csv")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 600 kB, which takes the first fits and no more."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=600k", "tmpfs", folder]
    mounted = subprocess.run(["mount", *options], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    """Leave no byte on a disk."""
    with open(folder / "ballast", "wb", buffering=0) as file:
        while True:
            try:
                file.write(b"x" * 512)
            except OSError:
                return


@pytest.mark.long
def test_a_full_disk_is_named_and_what_was_there_stays(
    small_disk, mark, finished_study
):
    out = small_disk / "study"
    # Networks of 28x28 pixels are too large for this disk: their fits are not kept,
    # which is worth a warning only; that a trial cannot be written ends the study.
    running = start(out, mark)
    wait_for(lambda: n_lines(out / FILE) >= 2, running)
    while running.poll() is None:  # a fit that could not be kept leaves room again
        fill(small_disk)
        time.sleep(0.01)
    _, errors = running.communicate()
    assert running.returncode == 2
    assert "No space left on device" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert len(read_trials(out / FILE)) >= 2
    assert json.loads((out / "study.json").read_text())["stages"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path, capfd):
    folder = tmp_path / "read-only"
    folder.mkdir()
    if os.geteuid() == 0:
        options = ["-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", folder]
        if subprocess.run(["mount", *options], capture_output=True).returncode:
            pytest.skip("root writes everywhere here")
    else:
        folder.chmod(0o500)
    try:
        _, _, _, *arguments = study_command(str(folder / "study"))
        status = main(arguments)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "-l", folder], check=True)
    errors = capfd.readouterr().err
    assert status == 2
    assert errors.count("\n") <= 2
    assert str(folder / "study") in errors


@pytest.mark.filterwarnings("ignore:One or more of the test scores are")
def test_a_study_that_diverges_never_chooses_what_is_not_a_number(tmp_path):
    from skmnist import Stage
    from skmnist.study import PRESETS, StudyConfig, run_study

    rates = [1e30, 0.001]
    PRESETS["diverging"] = lambda: [Stage("rate", {"learning_rate": rates})]
    few = {"epochs": 2, "baselines": False}
    config = StudyConfig(dataset="digits", preset="diverging", **few)
    try:
        with pytest.warns(match="1 fits failed"):
            study = run_study(config, tmp_path / "study")
    finally:
        del PRESETS["diverging"]
    assert study.summary.best_params == {"learning_rate": 0.001}
    failed, fine = read_trials(tmp_path / "study" / FILE)
    assert "FloatingPointError" in failed.error
    assert failed.scores["accuracy"] is None
    assert fine.error is None
    rows = read_study(tmp_path / "study").rows
    assert rows[0].accuracy != rows[0].accuracy  # NaN, also in the table
    # A parameter that only a stage knows has a column, too.
    assert [row.params["learning_rate"] for row in rows] == rates


def test_a_study_in_which_all_fail_ends_with_one_line(tmp_path, capsys):
    from skmnist import Stage
    from skmnist.study import PRESETS

    PRESETS["quick"], kept = (
        lambda: [Stage("rate", {"learning_rate": [1e30]})],
        PRESETS["quick"],
    )
    out = str(tmp_path / "study")
    try:
        options = ["--dataset", "digits", "--preset", "quick", "--out", out]
        status = main(["study", *options])
    finally:
        PRESETS["quick"] = kept
    assert status == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert errors[-1].startswith("Error: stage 'rate': all 1 candidates failed")
