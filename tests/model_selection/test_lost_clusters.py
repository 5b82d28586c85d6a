"""Clusters that end while a search runs, and encrypted ones: real processes."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import datetime
import signal
import time

import numpy as np
import pytest
from processes import Cluster

from skmnist.model_selection import _waiting
from skmnist.model_selection._evaluation import versions
from skmnist.model_selection._executors import MOST_LOSSES, DaskWorkers
from skmnist.model_selection._waiting import ClusterError

dask = pytest.importorskip("dask")
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
        # Each time to one worker, or to both.
        assert MOST_LOSSES < len(n_sent) <= 2 * (MOST_LOSSES + 1)


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


def configuration(folder):
    """Return Dask's usual configuration for TLS."""
    start = "distributed.comm.tls"
    found = {f"{start}.ca-file": folder / "ca.pem"}
    for role in ("client", "scheduler", "worker"):
        found[f"{start}.{role}.cert"] = folder / "own.pem"
        found[f"{start}.{role}.key"] = folder / "own.key"
    return {name: str(path) for name, path in found.items()}


def as_environment(configuration):
    """Return a configuration as variables of the environment."""
    return {
        f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": value
        for name, value in configuration.items()
    }


def refusal(address, configuration):
    """Return what a study says of a cluster that it cannot use."""
    with dask.config.set(configuration), pytest.raises(ClusterError) as raised:
        open_cluster(address, n_threads=1, expected=versions()).__enter__()
    return str(raised.value)


def test_an_encrypted_cluster_takes_those_who_have_its_certificates(
    monkeypatch, tmp_path
):
    folders = [tmp_path / name for name in ("ours", "theirs", "cluster")]
    for folder in folders:
        folder.mkdir()
    for folder in folders[:2]:
        make_certificates(folder)
    ours, theirs = map(configuration, folders[:2])
    environment = as_environment(ours)
    with small_cluster(
        folders[2], "--protocol", "tls", environment=environment
    ) as cluster:
        address = cluster.address
        assert address.startswith("tls://")
        with dask.config.set(ours), opened(cluster) as client:
            found = DaskWorkers(client).run(pow, (2,), [3, 4])
            assert sorted(found) == [(0, 8), (1, 16)]
        monkeypatch.setattr(_waiting, "ANSWER_WITHIN", 3.0)
        # Of another authority: their scheduler is not ours, and we are not theirs.
        expected = f"no Dask scheduler answers at {address}"
        assert refusal(address, theirs).startswith(expected)
        # Without encryption nobody answers.
        plain = address.replace("tls", "tcp")
        expected = f"no Dask scheduler answers at {plain}"
        assert refusal(plain, {}).startswith(expected)
