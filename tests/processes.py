"""Real processes for the tests: studies, and a Dask cluster."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil


def study_command(out, *options):
    """Return the command of a study of 15 fits and a final one."""
    study = ["study", "--preset", "quick", "--dataset", "digits", "--epochs", "1"]
    study += ["--no-baselines", "--quiet"]
    return [sys.executable, "-m", "skmnist", *study, "--out", out, *options]


def study_environment(mark=""):
    """Return an environment with one thread for a fit, marked for `processes_of`."""
    return {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "SKMNIST_TEST": mark}


def processes_of(mark):
    """List the processes whose environment bears a mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("SKMNIST_TEST") == mark:
                found.append(process)
    return found


class Cluster:
    """A scheduler and workers of Dask's, in processes of their own.

    Parameters
    ----------
    folder : pathlib.Path
        Where they write.
    environment : dict, default={}
        More variables of their environment; None takes a variable away.
    *options : str
        More options of the scheduler.
    """

    def __init__(self, folder, *options, environment=None):
        self.folder = folder
        self.environment = environment or {}
        self.processes = {}
        options = ["--port", "0", "--no-dashboard", *options]
        self.start("scheduler", "dask_scheduler", *options)
        self.address = self._wait_for_address()

    def _wait_for_address(self):
        path, deadline = self.folder / "scheduler.json", time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError, KeyError):
                return json.loads(path.read_text())["address"]
            time.sleep(0.1)
        raise TimeoutError("the scheduler did not start")

    def start(self, name, module, *options):
        """Start a process of the cluster."""
        command = [sys.executable, "-m", f"distributed.cli.{module}"]
        file = ["--scheduler-file", self.folder / "scheduler.json"]
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **self.environment}
        with open(self.folder / f"{name}.log", "w") as log:
            self.processes[name] = subprocess.Popen(
                [*command, *file, "--host", "127.0.0.1", *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={k: v for k, v in variables.items() if v is not None},
            )

    def add_worker(self, name, *options):
        """Start a worker with one thread."""
        fixed = ["--nthreads", "1", "--no-dashboard", "--memory-limit", "0"]
        self.start(name, "dask_worker", *fixed, "--name", name, *options)

    @contextlib.contextmanager
    def lent(self, name, *options):
        """Have another worker for a while."""
        self.start(name, "dask_worker", *options)
        try:
            yield
        finally:
            process = self.processes.pop(name)
            process.terminate()
            process.wait(60)

    def close(self):
        """End all processes."""
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def leave_half_a_file(path):
    """Have a process killed while it writes a file; return what it left of it."""
    code = (
        "import os, signal, sys\n"
        "from skmnist._io import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n"
        "    file.write('half a')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    before = set(path.parent.iterdir())
    killed = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = set(path.parent.iterdir()) - before
    return left
