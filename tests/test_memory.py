"""Limits of memory: read from the system, and said in one line before they are met."""

# SPDX-License-Identifier: BSD-3-Clause

import subprocess
import sys
from types import SimpleNamespace

import pytest

from skmnist import _memory
from skmnist._memory import (
    MB,
    MemoryLimit,
    OutOfMemoryError,
    TooLittleMemoryError,
    check_memory,
    memory_errors_named,
)

limited = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux limits the address space"
)


def groups(tmp_path, lines, files):
    """Write what a system shows of control groups; return the limit read from it."""
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "groups").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return _memory._container_limit(tmp_path / "cgroup", tmp_path / "groups")


@pytest.mark.parametrize(
    ("lines", "files", "expected"),
    [
        (["0::/"], {"memory.max": "1000\n"}, 1000),
        (["0::/"], {"memory.max": "max\n"}, None),
        (["0::/"], {}, None),
        (["0::/a/b"], {"a/b/memory.max": "max", "a/memory.max": "2000"}, 2000),
        (["0::/a/b"], {"a/b/memory.max": "500", "a/memory.max": "2000"}, 500),
        # A container that sees its own group as the root.
        (["0::/elsewhere"], {"memory.max": "700"}, 700),
        (["4:memory:/x"], {"memory/x/memory.limit_in_bytes": "300"}, 300),
        (["4:memory:/x"], {"memory/memory.limit_in_bytes": "300"}, 300),
        (["4:cpu,memory:/"], {"memory/memory.limit_in_bytes": "9"}, 9),
        (["4:cpu:/x"], {"memory/x/memory.limit_in_bytes": "300"}, None),
        # Version 1 has no word for "no limit".
        (["4:memory:/"], {"memory/memory.limit_in_bytes": f"{2**63 - 4096}"}, None),
        (["4:memory:/", "0::/"], {"memory/memory.limit_in_bytes": "8"}, 8),
        (["no such line"], {"memory.max": "5"}, None),
    ],
)
def test_the_limit_of_a_container(tmp_path, lines, files, expected):
    assert groups(tmp_path, lines, files) == expected


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert _memory._container_limit(tmp_path, tmp_path / "none") is None


@pytest.fixture
def limits(monkeypatch):
    """Set the limits that this process seems to have."""

    def set_limits(space=None, container=None, loaded=True):
        make = {"address_space": space, "container_memory": container}
        for name, limit in make.items():
            monkeypatch.setattr(_memory, name, lambda limit=limit: limit)
        modules = {"tensorflow": None} if loaded else {}
        monkeypatch.setattr(_memory, "sys", SimpleNamespace(modules=modules))

    return set_limits


@pytest.mark.parametrize(
    ("space", "container", "loaded", "message"),
    [
        (None, None, False, None),
        (MemoryLimit("space", 9000 * MB, 500 * MB), None, False, None),
        (
            MemoryLimit("space", 900 * MB, 50 * MB),
            None,
            False,
            "space is limited to 900",
        ),
        (MemoryLimit("space", 9000 * MB, 8900 * MB), None, True, "and 100 MB more are"),
        (MemoryLimit("space", 9000 * MB, 8000 * MB), None, True, None),
        (
            None,
            MemoryLimit("box", 200 * MB, 50 * MB),
            False,
            "box is limited to 200 MB",
        ),
        (None, MemoryLimit("box", 2000 * MB, 50 * MB), False, None),
        # What the system takes back counts as used, so only the start can be judged.
        (None, MemoryLimit("box", 2000 * MB, 1999 * MB), True, None),
    ],
)
def test_too_little_memory_is_named(limits, space, container, loaded, message):
    limits(space, container, loaded)
    if message is None:
        check_memory()
    else:
        with pytest.raises(TooLittleMemoryError, match=message) as raised:
            check_memory()
        assert "\n" not in str(raised.value)


class ResourceExhaustedError(Exception):
    """TensorFlow's has this name."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "memory ran out in a test: MemoryError"),
        (
            MemoryError("Unable to allocate 3 TiB"),
            "in a test: Unable to allocate 3 TiB",
        ),
        (ResourceExhaustedError("OOM when\n\n [Op:Mul]"), "in a test: OOM when"),
        (RuntimeError("std::bad_alloc"), "in a test: std::bad_alloc"),
        (OSError(12, "Cannot allocate memory"), "Cannot allocate memory"),
    ],
)
def test_errors_of_memory_become_one_kind(error, said):
    expected = pytest.raises(OutOfMemoryError, match=said)
    with expected as raised, memory_errors_named("in a test"):
        raise error
    assert raised.value.__cause__ is error
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "error",
    [ValueError("no"), ImportError("no module"), TooLittleMemoryError("said already")],
)
def test_other_errors_pass_as_they_are(error):
    with pytest.raises(type(error)) as raised, memory_errors_named("in a test"):
        raise error
    assert raised.value is error


def under_a_limit(n_bytes, *arguments):
    """Run Python with a limit of its address space; return how it ended."""
    code = (
        "import os, resource, sys\n"
        "n = int(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_AS, (n, n))\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(n_bytes), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )


@limited
@pytest.mark.parametrize("command", ["study", "fit"])
def test_a_command_that_has_too_little_memory_says_so_at_once(command, tmp_path):
    out = tmp_path / "out"
    options = ["--dataset", "digits", "--out", out]
    ended = under_a_limit(1300 * MB, "-m", "skmnist", command, *options)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("Error: too little memory to train a network: the address")
    assert "limited to 1,300 MB" in line
    assert not out.exists()


@limited
@pytest.mark.long
def test_a_candidate_that_needs_too_much_fails_and_the_others_count(tmp_path):
    """One layer of 60,000 units twice needs 14 GB; the search goes on without it."""
    code = (
        "import warnings\n"
        "from sklearn.datasets import load_digits\n"
        "from skmnist import KerasMLPClassifier, Stage, StagedSearchCV\n"
        "warnings.simplefilter('ignore')\n"
        "X, y = load_digits(return_X_y=True)\n"
        "stages = [Stage('widths', {'widths': [60_000, 8]})]\n"
        "net = KerasMLPClassifier(depth=2, epochs=1, random_state=0)\n"
        "told = []\n"
        "search = StagedSearchCV(net, stages, cv=2, refit=False,\n"
        "                        on_trial_end=told.append)\n"
        "search.fit(X[:200], y[:200])\n"
        "print(search.best_params_)\n"
        "print(told[0].error.strip().splitlines()[-1])\n"
    )
    ended = under_a_limit(6000 * MB, "-c", code)
    assert ended.returncode == 0, ended.stderr
    best, error = ended.stdout.splitlines()
    assert best == "{'widths': 8}"
    assert "OutOfMemoryError: memory ran out while a network was trained" in error
    assert "the address space (ulimit -v) is limited to 6,000 MB" in error


@limited
@pytest.mark.long
def test_a_search_whose_process_has_too_little_left_ends_and_says_so():
    """Take what there is between two fits: that says nothing of the candidates.

    The networks are so wide that TensorFlow trains them.
    """
    code = (
        "import numpy as np, psutil\n"
        "from sklearn.datasets import load_digits\n"
        "from skmnist import KerasMLPClassifier, Stage, StagedSearchCV\n"
        "X, y = load_digits(return_X_y=True)\n"
        "taken = []\n"
        "def take(trial):\n"
        "    psutil.Process()\n"
        "    space = psutil.Process().rlimit(psutil.RLIMIT_AS)[0]\n"
        "    left = space - psutil.Process().memory_info().vms - 100 * 2**20\n"
        "    taken.append(np.empty(left, np.uint8))\n"
        "stages = [Stage('widths', {'widths': [2100, 2101, 2102]})]\n"
        "net = KerasMLPClassifier(depth=1, epochs=1, random_state=0)\n"
        "search = StagedSearchCV(net, stages, cv=2, refit=False, on_trial_end=take)\n"
        "try:\n"
        "    search.fit(X[:200], y[:200])\n"
        "except MemoryError as error:\n"
        "    print(len(taken), error)\n"
    )
    ended = under_a_limit(6000 * MB, "-c", code)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("1 too little memory to train a network")
    assert "begin anew in a new process" in ended.stdout
