"""Nothing that only POSIX systems have is needed to fit, to search and to report."""

# SPDX-License-Identifier: BSD-3-Clause

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import skmnist

FOLDER = Path(skmnist.__file__).parent
PATHS = sorted(FOLDER.rglob("*.py"))

# Modules, names of `os` and names of `signal` that Windows lacks (Python's library
# reference: "Availability: Unix" or "not Windows").
MODULES = {
    "curses",
    "fcntl",
    "grp",
    "posix",
    "pty",
    "pwd",
    "resource",
    "termios",
    "tty",
}
OF_OS = {
    *("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_DIRECTORY"),
    *("chown", "fchmod", "fchown", "fork", "forkpty", "geteuid", "getgid", "getpgid"),
    *("getpriority", "getuid", "kill", "killpg", "lchown", "mkfifo", "nice", "openpty"),
    *("pread", "pwrite", "register_at_fork", "sched_getaffinity", "set_blocking"),
    *("setpgid", "setsid", "statvfs", "sync", "sysconf", "uname", "wait"),
}
OF_SIGNAL = {"SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGTSTP"}
OF_SIGNAL |= {"SIGUSR1", "SIGUSR2", "SIGWINCH", "alarm", "pthread_sigmask", "setitimer"}


def names_used(tree):
    """Yield (line, module, name) of what a module takes from `os` and `signal`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.lineno, node.value.id, node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, node.module, x.name) for x in node.names)


def lines_behind_a_question(tree):
    """Return the lines of blocks that ask first, as in ``if hasattr(os, "chown"):``."""
    lines = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "hasattr" in ast.unparse(node.test):
            lines.update(range(node.lineno, node.end_lineno + 1))
    return lines


TREES = {
    str(path.relative_to(FOLDER)): ast.parse(path.read_text(encoding="utf-8"))
    for path in PATHS
}


def test_names_that_windows_lacks_are_asked_for_first():
    lacking = {"os": OF_OS, "signal": OF_SIGNAL}
    found = []
    for name, tree in TREES.items():
        asked = lines_behind_a_question(tree)
        found += [
            (name, node.lineno)
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            and MODULES & {alias.name for alias in node.names}
        ]
        found += [
            (name, line, f"{module}.{used}")
            for line, module, used in names_used(tree)
            if used in lacking.get(module, ()) and line not in asked
        ]
    assert found == []


def test_text_is_read_and_written_in_a_named_encoding():
    # Windows takes another one than UTF-8 if none is named.
    assert [
        (name, node.lineno, ast.unparse(node))
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") in ("read_text", "write_text")
        and "utf-8" not in ast.unparse(node)
        # Linux only, and behind a try.
        and "/etc/" not in ast.unparse(node)
    ] == []


HIDDEN = """
import builtins, os, signal, sys

# What others need they have imported before.
import joblib, keras, matplotlib.pyplot, numpy, portalocker, psutil
import rich.console, scikeras.wrappers, sklearn.model_selection

MODULES, OF_OS, OF_SIGNAL = {names!r}
real_import = builtins.__import__

def import_as_windows(name, globals=None, *args, **how):
    importer = (globals or {{}}).get("__name__", "")
    if importer.startswith("skmnist") and name.split(".")[0] in MODULES:
        raise ModuleNotFoundError(name)
    return real_import(name, globals, *args, **how)

class Less:
    "A module without some of its names, for skmnist only."
    def __init__(self, module, without):
        vars(self).update({{k: v for k, v in vars(module).items() if k not in without}})

builtins.__import__ = import_as_windows
import skmnist._io, skmnist.study._storage, skmnist.study._trials, skmnist.cli._signals
for module in (skmnist._io, skmnist.study._storage, skmnist.study._trials):
    module.os = Less(os, OF_OS)
skmnist.cli._signals.signal = Less(signal, OF_SIGNAL)

from skmnist.cli import main
out = sys.argv[1]
study = "study --dataset digits --preset quick --epochs 1 --n-iter 1 --no-baselines"
study = [*study.split(), "--quiet", "--out", out]
for command in (study, ["status", out], ["report", out]):
    try:
        main(command)
    except SystemExit as end:
        assert not end.code, (command, end.code)
from skmnist import StageScoresDisplay
from skmnist.study import read_study
assert len(read_study(out).rows) > 1
"""


@pytest.mark.slow
def test_a_study_runs_without_what_only_posix_has(tmp_path):
    script = HIDDEN.format(names=(MODULES, OF_OS - {"kill"}, OF_SIGNAL))
    finished = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "study"],
        capture_output=True,
        text=True,
        env={**os.environ, "MPLBACKEND": "agg"},
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert (tmp_path / "study" / "report.html").exists()
