"""Clusters that end while a search runs, and encrypted ones: real processes."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import datetime
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from processes import Cluster

from skmnist.model_selection import _waiting
from skmnist.model_selection._evaluation import versions
from skmnist.model_selection._executors import MOST_LOSSES, DaskWorkers
from skmnist.model_selection._waiting import ClusterError

distributed = pytest.importorskip("distributed")
open_cluster = pytest.importorskip("skmnist.model_selection._dask").open_cluster

# Dask leaves some sockets and loops to the garbage collector.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def hurry(monkeypatch):
    """Set deadlines of a few seconds, once a cluster is there: that takes its time."""

    def set_deadlines():
        monkeypatch.setattr(_waiting, "SILENT_AFTER", 4.0)
        monkeypatch.setattr(_waiting, "WORKERS_WITHIN", 2.0)
        monkeypatch.setattr(_waiting, "LOOK_EVERY", 0.2)

    return set_deadlines


@contextlib.contextmanager
def small_cluster(folder, *options, **more):
    """Start a scheduler and a worker that nobody starts again."""
    cluster = Cluster(folder, *options, **more)
    try:
        cluster.add_worker("one", "--no-nanny")
        yield cluster
    finally:
        cluster.close()


def opened(cluster, n_workers=1):
    """Open the connection of a study, when the workers have started."""
    with distributed.Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(n_workers, timeout=180)
    return open_cluster(cluster.address, n_threads=1, expected=versions())


def run_until_the_first(client, disturb):
    """Run slow tasks, and disturb the cluster after the first one."""

    # Local functions are sent to the workers, which cannot import the tests.
    def slow(values, task):
        import time

        time.sleep(0 if task == 0 else 60)
        return task

    for _ in DaskWorkers(client).run(slow, (np.ones(10),), [0, 1, 2]):
        disturb()


def test_a_search_ends_when_all_workers_are_gone_for_good(hurry, tmp_path):
    with small_cluster(tmp_path) as cluster:
        with opened(cluster) as client:
            hurry()
            began = time.monotonic()
            with pytest.raises(ClusterError, match="has had no worker for 2 s"):
                run_until_the_first(client, cluster.processes["one"].kill)
        # The connection is taken down without waiting for the dead.
        assert time.monotonic() - began < 60


def test_a_search_ends_when_the_scheduler_is_killed(hurry, tmp_path):
    with small_cluster(tmp_path) as cluster, opened(cluster) as client:
        hurry()
        with pytest.raises(ClusterError, match="does not answer any more"):
            run_until_the_first(client, cluster.processes["scheduler"].kill)


def test_a_search_ends_when_the_scheduler_is_silent(hurry, shared_cluster):
    scheduler = shared_cluster.processes["scheduler"]
    try:
        with opened(shared_cluster, 2) as client:
            hurry()
            with pytest.raises(ClusterError, match="no answer within 4 s"):
                run_until_the_first(
                    client, lambda: scheduler.send_signal(signal.SIGSTOP)
                )
    finally:
        scheduler.send_signal(signal.SIGCONT)


def test_data_that_are_lost_each_time_are_not_sent_for_ever(shared_cluster):
    """Cancel the data after each sending: to a client this is as if they were lost."""
    with distributed.Client(shared_cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=180)
        n_sent, scatter = [], client.scatter

        def lost(values, **options):
            futures = scatter(values, **options)
            n_sent.append(1)
            client.cancel(futures, force=True)
            return futures

        client.scatter = lost
        workers = DaskWorkers(client)
        with pytest.raises(
            ClusterError, match=f"lost the data {MOST_LOSSES + 1} times"
        ):
            list(workers.run(pow, (np.ones(10),), [1, 2]))
        assert len(n_sent) == MOST_LOSSES + 1


def make_certificates(folder):
    """Write an authority's certificate, and one with a key for all of a cluster."""
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def named(name):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    for name, key, is_authority in zip(("ca", "own"), keys, (True, False), strict=True):
        certificate = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named("ca"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .sign(keys[0], hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / f"{name}.key").write_bytes(key.private_bytes(pem, *form))


def configured(folder):
    """Return Dask's usual configuration for TLS, as variables of the environment."""
    start = "DASK_DISTRIBUTED__COMM__TLS__"
    files = {f"{start}CA_FILE": folder / "ca.pem"}
    for role in ("CLIENT", "SCHEDULER", "WORKER"):
        files[f"{start}{role}__CERT"] = folder / "own.pem"
        files[f"{start}{role}__KEY"] = folder / "own.key"
    return {name: str(path) for name, path in files.items()}


CONNECT = """
import sys
from skmnist.model_selection import _waiting
from skmnist.model_selection._dask import open_cluster
from skmnist.model_selection._executors import DaskWorkers
_waiting.ANSWER_WITHIN = float(sys.argv[2])
try:
    with open_cluster(sys.argv[1], n_threads=1, expected={}) as client:
        print(sorted(DaskWorkers(client).run(pow, (2,), [3, 4])))
except _waiting.ClusterError as error:
    print(error)
"""


def connect(address, environment, seconds=5):
    """Run tasks on a cluster from a process with an environment."""
    ended = subprocess.run(
        [sys.executable, "-c", CONNECT, address, str(seconds)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "Traceback" not in ended.stdout
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_an_encrypted_cluster_takes_those_who_have_its_certificates(tmp_path):
    folders = [tmp_path / name for name in ("ours", "theirs", "cluster")]
    for folder in folders:
        folder.mkdir()
    for folder in folders[:2]:
        make_certificates(folder)
    ours, theirs = map(configured, folders[:2])
    with small_cluster(folders[2], "--protocol", "tls", environment=ours) as cluster:
        address = cluster.address
        assert address.startswith("tls://")
        # The first one waits until the worker has started.
        assert connect(address, ours, 180) == "[(0, 8), (1, 16)]\n"
        # Of another authority: their scheduler is not ours, and we are not theirs.
        refused = connect(address, theirs)
        assert refused.startswith(f"no Dask scheduler answers at {address}")
        # Without encryption nobody answers.
        plain = address.replace("tls", "tcp")
        refused = connect(plain, {})
        assert refused.startswith(f"no Dask scheduler answers at {plain}")
