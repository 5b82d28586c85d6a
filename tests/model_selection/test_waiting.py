"""Waiting for a cluster: each question has a deadline, and an end in one line."""

# SPDX-License-Identifier: BSD-3-Clause

import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from skmnist.model_selection import _waiting
from skmnist.model_selection._evaluation import versions
from skmnist.model_selection._waiting import ClusterError, Watch, answered


class Client:
    """What a watch asks of Dask's client, with prepared answers."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.status = "running"
        self.scheduler = SimpleNamespace(address="tcp://somewhere:8786")

    def ncores(self):
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def hurried(monkeypatch):
    """Deadlines of less than a second."""
    monkeypatch.setattr(_waiting, "ANSWER_WITHIN", 0.3)
    monkeypatch.setattr(_waiting, "SILENT_AFTER", 5)
    monkeypatch.setattr(_waiting, "WORKERS_WITHIN", 0.2)
    monkeypatch.setattr(_waiting, "LOOK_EVERY", 0.05)


def test_an_answer_is_returned_and_an_error_is_raised():
    assert answered(30, int, "11", base=2) == 3
    with pytest.raises(ValueError, match="invalid literal"):
        answered(30, int, "eleven")


def test_nobody_waits_longer_than_the_deadline():
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        answered(0.1, time.sleep, 5)
    assert time.monotonic() - began < 3


def test_workers_that_come_back_in_time_are_waited_for(hurried):
    watch = Watch(Client({"a": 1}, {}, {"b": 1}, {}))
    for expected in ({"a": 1}, {}, {"b": 1}, {}):
        time.sleep(0.15)
        assert watch.look() == expected


def test_a_cluster_without_workers_is_given_up_after_the_stated_time(hurried):
    watch = Watch(Client())
    assert watch.look() == {}
    time.sleep(0.25)
    with pytest.raises(ClusterError, match=r"has had no worker for 0\.2 s, .*ends"):
        watch.look()


@pytest.mark.parametrize("error", [OSError("refused"), AttributeError("ncores")])
def test_a_scheduler_that_is_gone_is_one_line(error):
    with pytest.raises(ClusterError, match="does not answer any more") as raised:
        Watch(Client(error)).look()
    assert "\n" not in str(raised.value)


def test_a_client_that_has_given_up_is_not_asked():
    client = Client({"a": 1})
    client.status = "closed"
    with pytest.raises(ClusterError, match="the connection is closed"):
        Watch(client).look()


def test_what_takes_long_is_waited_for_while_there_are_workers(hurried):
    watch = Watch(Client(*[{"a": 1}] * 100))
    assert watch.wait_for(lambda: time.sleep(0.5) or "done") == "done"
    with pytest.raises(ClusterError, match="no worker"):
        Watch(Client()).wait_for(lambda: time.sleep(5))


def open_cluster(address):
    """Open a cluster and close it."""
    module = pytest.importorskip("skmnist.model_selection._dask")
    with module.open_cluster(address, n_threads=1, expected=versions()):
        pass


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_address_that_listens_and_is_silent_is_given_up(hurried):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(
            ClusterError, match=f"no Dask scheduler answers at {address}"
        ):
            open_cluster(address)
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (
            "tls://127.0.0.1:1",
            r"set distributed\.comm\.tls\.ca-file and .*client\.cert",
        ),
        ("ucx://127.0.0.1:1", r"use tcp:// or tls://"),
        ("telnet://127.0.0.1:1", r"unknown address scheme .*use tcp:// or tls://"),
        ("tcp://[::1", "no Dask scheduler answers"),
        (None, "name the cluster's scheduler"),
    ],
)
def test_an_address_that_cannot_be_is_refused_at_once(address, reason):
    dask = pytest.importorskip("dask")
    began = time.monotonic()
    nothing = {"distributed.comm.tls.ca-file": None, "scheduler-address": None}
    with dask.config.set(nothing), pytest.raises(ClusterError, match=reason) as raised:
        open_cluster(address)
    assert time.monotonic() - began < 5
    assert "\n" not in str(raised.value)


def test_nothing_is_left_that_could_keep_the_process_from_ending():
    pytest.importorskip("distributed")
    code = (
        "import socket, time\n"
        "from skmnist.model_selection import _waiting\n"
        "from skmnist.model_selection._dask import open_cluster\n"
        "_waiting.ANSWER_WITHIN = 0.3\n"
        "silent = socket.create_server(('127.0.0.1', 0))\n"
        "address = f'tcp://127.0.0.1:{silent.getsockname()[1]}'\n"
        "try:\n"
        "    with open_cluster(address, n_threads=1, expected={}): pass\n"
        "except _waiting.ClusterError as error:\n"
        "    print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert "no Dask scheduler answers" in ended.stdout
