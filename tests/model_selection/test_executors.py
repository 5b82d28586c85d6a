"""Where fits run: results as they come, workers that die, backends that are refused."""

import os
import signal
import warnings

import joblib
import pytest

from skmnist.model_selection._executors import TRIES, GivenUp, open_workers


def run(function, tasks, n_jobs=2, shared=()):
    """Run tasks and return their results in order."""
    workers = open_workers(n_jobs, "2*n_jobs")
    try:
        found = dict(workers.run(function, shared, tasks))
    finally:
        workers.close()
    return [found[number] for number in range(len(tasks))]


# Local functions are sent to other processes, which cannot import the tests.


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_task_is_run_once(n_jobs, tmp_path):
    def square(factor, task):
        (tmp_path / f"{task}").touch(exist_ok=False)
        return factor * task**2

    assert run(square, [3, 1, 2], n_jobs, shared=(10,)) == [90, 10, 40]


def test_results_come_as_they_are_finished(tmp_path):
    def wait_for_the_second(task):
        import time

        if task == "second":
            (tmp_path / "done").touch()
        while not (tmp_path / "done").exists():
            time.sleep(0.01)
        return task

    workers = open_workers(2, "2*n_jobs")
    # If results came in order, the first task would wait forever.
    results = workers.run(wait_for_the_second, (), ["first", "second"])
    assert {result for _, result in results} == {"first", "second"}
    workers.close()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_task_that_raises_ends_the_run_with_its_error(n_jobs):
    def divide(task):
        return 1 / task

    with pytest.raises(ZeroDivisionError):
        run(divide, [1, 0], n_jobs)


def test_a_task_whose_worker_is_killed_once_is_run_again(tmp_path):
    def killed_once(task):
        mark = tmp_path / f"{task}"
        if task == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    with pytest.warns(RuntimeWarning, match="tried again, alone"):
        assert run(killed_once, list(range(6))) == list(range(6))


def test_a_task_that_kills_every_worker_is_given_up_and_the_rest_goes_on(tmp_path):
    def kills(task):
        if task == 1:
            with open(tmp_path / "tries", "a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    with pytest.warns(RuntimeWarning, match="was killed"):
        results = run(kills, list(range(6)))
    assert isinstance(results.pop(1), GivenUp)
    assert results == [0, 2, 3, 4, 5]
    assert len((tmp_path / "tries").read_text()) == TRIES


def test_forking_after_tensorflow_has_started_is_refused():
    import tensorflow  # noqa: F401

    with (
        joblib.parallel_config("multiprocessing"),
        pytest.raises(ValueError, match="forks this process, .* use 'loky'"),
    ):
        open_workers(2, "2*n_jobs")


def test_one_job_never_forks():
    with joblib.parallel_config("multiprocessing"):
        assert run(abs, [-1, -2], n_jobs=1) == [1, 2]


def test_threads_share_this_process():
    with joblib.parallel_config("threading"):
        assert set(run(lambda task: os.getpid(), [1, 2, 3])) == {os.getpid()}


def test_a_worker_ends_when_its_starter_is_killed(tmp_path):
    import subprocess
    import sys
    import time

    import psutil

    code = (
        "import os, sys, time\n"
        "from skmnist.model_selection._executors import open_workers\n"
        "def work(task):\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(60)\n"
        "for _ in open_workers(2, 'all').run(work, (), [1, 2]): pass\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as starter:
        pids = [int(starter.stdout.readline()) for _ in range(2)]
        starter.kill()
    deadline = time.monotonic() + 20
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(psutil.pid_exists, pids))


def workers_of_joblib():
    """Return the numbers of the processes that joblib has started."""
    import psutil

    children = psutil.Process().children(recursive=True)
    return {c.pid for c in children if "popen_loky" in " ".join(c.cmdline())}


def test_there_are_never_more_workers_than_tasks():
    assert run(abs, [-1, -2, -3], n_jobs=8) == [1, 2, 3]
    assert len(workers_of_joblib()) == 3


def test_workers_that_are_there_stay_for_fewer_tasks():
    workers = open_workers(8, "2*n_jobs")

    def pids(tasks):
        return {pid for _, pid in workers.run(lambda task: os.getpid(), (), tasks)}

    try:
        # A single task needs no process of its own, if there is none.
        assert pids([1]) == {os.getpid()}
        assert pids([1, 2]) <= (there := workers_of_joblib())
        assert pids([1]) <= there
    finally:
        workers.close()


def test_no_warning_where_no_worker_dies():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(abs, [-1, -2])
