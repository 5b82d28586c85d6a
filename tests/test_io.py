"""Files appear whole or not at all: killed writers, threads, links, devices, modes."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import errno
import functools
import os
import pty
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from skmnist import _io
from skmnist._archive import read_archive
from skmnist._io import (
    ModelFileError,
    atomic_write,
    check_readable_file,
    sweep_temporary_files,
    temporary_path,
    write_archive,
)

NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may do it")


def write(path, text="new"):
    with atomic_write(path) as file:
        file.write(text)


@contextlib.contextmanager
def running(code, *arguments):
    """Run a Python process; the block begins when it has printed a line."""
    code = f"import sys\nfrom skmnist._io import atomic_write\n{code}"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    # A shell may ignore Ctrl-C in the background, and its processes would do so, too.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, **pipes, preexec_fn=heed) as process:
        try:
            assert process.stdout.readline(), process.stderr.read().decode()
            yield process
        finally:
            process.kill()


HALF = """
with atomic_write(sys.argv[1]) as file:
    file.write("half")
    file.flush()
    print("half is written", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def somebody_else():
    """Make this process, with all its threads, a user who is not root."""
    if os.getuid() == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


@pytest.fixture
def shared(tmp_path):
    """A folder that every user may enter; pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)
        os.chmod(folder, 0o777)


@pytest.fixture
def umask():
    """A function that sets the umask for one test."""
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


# Whole or not at all


def test_text_is_utf_8_with_the_line_ends_that_were_written(tmp_path):
    write(tmp_path / "a", "±\r\n\n")
    assert (tmp_path / "a").read_bytes() == "±\r\n\n".encode()


def test_bytes(tmp_path):
    with atomic_write(tmp_path / "a", "wb") as file:
        file.write(b"\0\r\n")
        file.seek(0)  # as zipfile does
        file.write(b"\1")
    assert (tmp_path / "a").read_bytes() == b"\1\r\n"


@pytest.mark.parametrize("mode", ["a", "x", "r+", "wt", "rb"])
def test_other_modes_are_refused(tmp_path, mode):
    with pytest.raises(ValueError, match="mode must be 'w' or 'wb'"):
        atomic_write(tmp_path / "a", mode).__enter__()
    assert os.listdir(tmp_path) == []


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "error", [ValueError, OSError, KeyboardInterrupt, SystemExit, GeneratorExit]
)
@pytest.mark.parametrize("old", ["old", None])
def test_an_exception_leaves_nothing_behind(tmp_path, error, old):
    path = tmp_path / "a"
    if old:
        path.write_text(old)
    with pytest.raises(error), atomic_write(path) as file:
        file.write("half")
        raise error
    assert os.listdir(tmp_path) == (["a"] if old else [])
    assert not old or path.read_text() == old


def test_a_writer_that_is_forgotten_leaves_nothing_behind(tmp_path):
    writer = atomic_write(tmp_path / "a")
    writer.__enter__().write("half")
    assert len(os.listdir(tmp_path)) == 1
    del writer
    assert os.listdir(tmp_path) == []


def test_the_error_of_the_caller_is_told_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "a"):
        (tmp_path / "absent").read_text()
    assert caught.value.filename == str(tmp_path / "absent")
    with pytest.raises(BrokenPipeError) as caught, atomic_write(tmp_path / "a"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert caught.value.filename is None


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("folder" if is_folder else os.fstat(descriptor).st_size)
        fsync(descriptor)

    def note_replace(*paths):
        done.append("replaced")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    write(tmp_path / "a", "12345")
    assert done == [5, "replaced", "folder"]


# Processes and threads


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    (tmp_path / "a").write_text("old")
    with running(HALF, tmp_path / "a") as process:
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.stderr.read()
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_killed_process_leaves_the_old_file_and_one_to_sweep(tmp_path):
    (tmp_path / "a").write_text("old")
    with running(HALF, tmp_path / "a") as process:
        sweep_temporary_files(tmp_path)
        assert len(os.listdir(tmp_path)) == 2, "the process is alive"
        process.kill()
        # Nobody has asked yet how it ended: its number is that of a zombie.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert len(os.listdir(tmp_path)) == 2
        sweep_temporary_files(tmp_path)
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_what_a_killed_process_left_is_swept_in_any_folder_below(tmp_path):
    folder = tmp_path / "fits" / "0a"
    folder.mkdir(parents=True)
    with running(HALF, folder / "a") as process:
        process.kill()
    assert len(os.listdir(folder)) == 1
    sweep_temporary_files(tmp_path)
    assert os.listdir(folder) == []


def test_sweeping_removes_nothing_else(tmp_path):
    left = temporary_path(tmp_path / "a").name
    machine, numbers = left.split(".")[2].split("-", 1)
    pid, number = numbers.split("-")
    names = [
        left.replace(machine, "0123456789ab"),  # another machine's
        left.replace(f"-{pid}-", "-1-"),  # that of a process that is alive
        left.removeprefix("."),
        f"{left}.gz",
        ".a.tmp",
        ".notes.host-17-abcdef.tmp",
        f".a.{machine}-{pid}.tmp",
        f"..{machine}-{pid}-{number}.tmp",
    ]
    for name in names:
        (tmp_path / name).write_text("somebody's")
    for i, make in enumerate([os.mkdir, lambda path: os.symlink("/etc", path)]):
        name = left.replace(number, f"{i:016x}")
        make(tmp_path / name)
        names.append(name)
    with atomic_write(tmp_path / "in-progress"):
        before = set(os.listdir(tmp_path))
        assert len(before) == len(names) + 1
        sweep_temporary_files(tmp_path)
        assert set(os.listdir(tmp_path)) == before


# A container's processes have the same numbers each time that it is started.
def test_what_a_dead_process_of_our_own_number_left_is_swept(tmp_path):
    left = temporary_path(tmp_path / "two\nlines")
    assert f"-{os.getpid()}-" in left.name
    left.write_text("half")
    # As if another machine had the same name and number: it may write just now.
    sweep_temporary_files(tmp_path)
    assert os.listdir(tmp_path) == [left.name]
    os.utime(left, (0, _io._STARTED - 1))
    sweep_temporary_files(tmp_path)
    assert os.listdir(tmp_path) == []


def test_what_another_machine_left_is_swept_after_a_day(tmp_path):
    name = temporary_path(tmp_path / "a").name
    left = tmp_path / name.replace(_io._machine(), "0123456789ab")
    for age, expected in ((23, [left.name]), (25, [])):
        left.write_text("half")
        os.utime(left, (0, time.time() - age * 3600))
        sweep_temporary_files(tmp_path)
        assert os.listdir(tmp_path) == expected


def test_sweeping_goes_on_where_something_cannot_be_removed(tmp_path, monkeypatch):
    for name in ("a", "b"):
        temporary_path(tmp_path / name).write_text("half")

    def refuse(path):
        raise PermissionError(errno.EACCES, "no", path)

    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        sweep_temporary_files(tmp_path)
    assert len(os.listdir(tmp_path)) == 2
    sweep_temporary_files(tmp_path / "absent")


def test_machines_are_told_apart_by_name_and_by_container(monkeypatch):
    def machine(name, namespace):
        with monkeypatch.context() as patch:
            patch.setattr(_io.platform, "node", lambda: name)
            real = os.stat
            answer = os.stat_result((0, namespace, *[0] * 8))
            asked = "/proc/self/ns/pid"
            patch.setattr(
                os,
                "stat",
                lambda path, **how: answer if path == asked else real(path, **how),
            )
            return _io._machine.__wrapped__()

    found = {machine(name, n) for name in ("one", "two", "\udcff") for n in (7, 8)}
    assert len(found) == 6
    assert all(len(name) == 12 for name in found)
    assert machine("one", 7) == machine("one", 7)


def test_threads_that_write_one_file_and_sweep_the_folder(tmp_path):
    path, failures = tmp_path / "a", []

    def work(letter):
        try:
            for _ in range(20):
                write(path, letter * 5000)
                sweep_temporary_files(tmp_path)
                assert len(set(path.read_text())) == 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert os.listdir(tmp_path) == ["a"]
    assert len(path.read_text()) == 5000


def test_processes_that_write_one_file(tmp_path):
    code = """
print("ready", flush=True)
for _ in range(30):
    with atomic_write(sys.argv[1]) as file:
        file.write(sys.argv[2] * 5000)
"""
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(running(code, tmp_path / "a", letter))
            for letter in "abc"
        ]
        while any(process.poll() is None for process in processes):
            if (tmp_path / "a").exists():
                text = (tmp_path / "a").read_text()
                assert (len(text), len(set(text))) == (5000, 1)
            time.sleep(0.01)
        assert [process.returncode for process in processes] == [0, 0, 0]
    assert os.listdir(tmp_path) == ["a"]


# Permissions


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o002])
def test_a_new_file_gets_what_the_umask_allows(tmp_path, umask, mask, monkeypatch):
    umask(mask)
    with monkeypatch.context() as patch:
        # To read it one has to change it, and other threads make files, too.
        patch.delattr(os, "umask")
        write(tmp_path / "a")
    assert mode_of(tmp_path / "a") == 0o666 & ~mask


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755, 0o2660])
def test_an_old_file_keeps_its_permissions(tmp_path, umask, mode):
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(mode)
    umask(0o022)
    with atomic_write(path) as file:
        (temporary,) = set(os.listdir(tmp_path)) - {"a"}
        # Nobody may read meanwhile what the old file would not let him read.
        assert mode_of(tmp_path / temporary) == 0o600
        file.write("new")
    assert mode_of(path) == mode


@as_root
def test_an_old_file_keeps_its_owner(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    os.chown(path, NOBODY, 12345)
    write(path)
    found = path.stat()
    assert (found.st_uid, found.st_gid, path.read_text()) == (NOBODY, 12345, "new")


def test_a_file_of_somebody_else_in_our_folder_becomes_ours(shared):
    path = shared / "a"
    path.write_text("old")
    path.chmod(0o666)
    with somebody_else():
        write(path)
    assert path.stat().st_uid == (NOBODY if os.getuid() == 0 else os.getuid())
    assert (mode_of(path), path.read_text()) == (0o666, "new")


def test_a_read_only_file_is_not_replaced(shared):
    path = shared / "a"
    path.write_text("old")
    path.chmod(0o444)
    with somebody_else(), pytest.raises(PermissionError) as caught:
        write(path)
    assert caught.value.filename == str(path)
    assert (path.read_text(), os.listdir(shared)) == ("old", ["a"])


def test_no_permissions_and_no_folders_to_sync_are_no_reason_to_fail(
    tmp_path, monkeypatch
):
    def refuse(path, *args, **kwargs):
        raise PermissionError(errno.EPERM, "Operation not permitted", path)

    def refuse_folders(path, flags, *args, **kwargs):
        if os.path.isdir(path):
            refuse(path)
        return opened(path, flags, *args, **kwargs)

    (tmp_path / "a").write_text("old")
    opened = os.open
    with monkeypatch.context() as patch:
        for name in ("chown", "fchmod"):
            patch.delattr(os, name)
        patch.setattr(os, "chmod", refuse)
        patch.setattr(os, "open", refuse_folders)
        write(tmp_path / "a")
        write(tmp_path / "b")
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == "new"


@pytest.mark.parametrize(
    ("number", "works"), [(errno.EINVAL, True), (errno.EIO, False)]
)
def test_a_disk_that_cannot_sync_and_one_that_fails_to(
    tmp_path, monkeypatch, number, works
):
    def refuse(descriptor):
        raise OSError(number, "cannot")

    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(os, "fsync", refuse)
    if works:
        write(tmp_path / "a")
    else:
        with pytest.raises(OSError, match="cannot") as caught:
            write(tmp_path / "a")
        assert caught.value.filename == str(tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == ("new" if works else "old")


# Links


def test_links_are_followed_to_their_end(tmp_path):
    folder = tmp_path / "real"
    folder.mkdir()
    (folder / "a").write_text("old")
    (folder / "a").chmod(0o600)
    (tmp_path / "one").symlink_to("real/a")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    write(tmp_path / "two")
    assert (tmp_path / "one").is_symlink() and (tmp_path / "two").is_symlink()
    assert (folder / "a").read_text() == "new"
    assert mode_of(folder / "a") == 0o600
    assert os.listdir(folder) == ["a"]


def test_a_dangling_link_gets_its_file(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/a")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "new"


def test_a_link_into_a_folder_that_is_missing(tmp_path):
    (tmp_path / "link").symlink_to("absent/a")
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "link")
    assert caught.value.filename == str(tmp_path / "link")
    assert os.listdir(tmp_path) == ["link"]


def test_a_circle_of_links_stays_one(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links") as caught:
        write(tmp_path / "a")
    assert caught.value.filename == str(tmp_path / "a")
    assert (tmp_path / "a").is_symlink() and (tmp_path / "b").is_symlink()


# What is no file


def test_dev_null_is_written_to_and_stays_a_device():
    before = os.stat(os.devnull)
    for mode, content in (("w", "text"), ("wb", b"bytes")):
        with atomic_write(os.devnull, mode) as file:
            file.write(content)
    write_archive(os.devnull, {"a": 1}, [np.arange(3)])
    after = os.stat(os.devnull)
    assert (after.st_mode, after.st_rdev) == (before.st_mode, before.st_rdev)


def test_a_link_to_dev_null(tmp_path):
    (tmp_path / "link").symlink_to(os.devnull)
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert os.listdir(tmp_path) == ["link"]


def test_a_full_device_is_named():
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        write("/dev/full")
    assert (caught.value.filename, caught.value.errno) == ("/dev/full", errno.ENOSPC)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_terminal_is_written_to():
    controller, terminal = pty.openpty()
    name = os.ttyname(terminal)
    write(name)
    assert os.read(controller, 100) == b"new"
    assert stat.S_ISCHR(os.stat(name).st_mode)
    for descriptor in (controller, terminal):
        os.close(descriptor)


def make_socket(path):
    # Its path may have 107 bytes at most, so it is made elsewhere.
    with socket.socket(socket.AF_UNIX) as made:
        short = f"/tmp/skmnist-{os.getpid()}"
        made.bind(short)
    os.rename(short, path)


def make_disk(path):
    if os.getuid() != 0:
        pytest.skip("only root can make a device")
    try:
        os.mknod(path, 0o600 | stat.S_IFBLK, os.makedev(7, 250))
    except PermissionError:
        pytest.skip("devices cannot be made here")


NO_FILES = {
    "folder": (os.mkdir, "is a folder, not a file", stat.S_ISDIR),
    "fifo": (os.mkfifo, r"is a pipe \(FIFO\), not a file", stat.S_ISFIFO),
    "socket": (make_socket, "is a socket, not a file", stat.S_ISSOCK),
    "disk": (make_disk, "is a device, not a file", stat.S_ISBLK),
}


# Nobody reads from the FIFO: opened, it would be waited for.
@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("linked", [False, True], ids=["itself", "linked"])
def test_what_is_no_file_is_refused_at_once_and_stays(tmp_path, kind, linked):
    make, message, is_kind = NO_FILES[kind]
    path = real = tmp_path / "a"
    make(real)
    if linked:
        path = tmp_path / "link"
        path.symlink_to(real)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(OSError, match=message) as caught:
        write(path)
    assert caught.value.filename == str(path)
    assert is_kind(os.lstat(real).st_mode)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("name", ["", ".", "..", "new/"])
def test_the_name_of_a_folder_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError if name else OSError):
        write(name)
    assert os.listdir(tmp_path) == []


# Names


NAMES = {
    "no suffix": "model",
    "hidden": ".hidden",
    "empty suffix": "dot.",
    "255 letters": "a" * 255,
    "254 bytes": "ä" * 127,
    "255 bytes": "数" * 85,
    "new line": "two\nlines",
    "no text": os.fsdecode(b"\xff\xfe"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_any_name_can_be_written(tmp_path, kind):
    name = NAMES[kind]
    write(tmp_path / name)
    write(tmp_path / name, "again")
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "again"


def test_a_name_that_is_too_long_is_named(tmp_path):
    with pytest.raises(OSError, match="name too long") as caught:
        write(tmp_path / ("a" * 256))
    assert caught.value.filename == str(tmp_path / ("a" * 256))
    assert os.listdir(tmp_path) == []


# Folders and disks that take nothing


def test_a_missing_folder_is_named_by_the_target(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "absent" / "a")
    assert caught.value.filename == str(tmp_path / "absent" / "a")


@pytest.mark.parametrize("old", [False, True])
def test_a_read_only_folder_is_named_by_the_target(shared, old):
    path = shared / "a"
    if old:
        path.write_text("old")
        path.chmod(0o666)
    shared.chmod(0o555)
    with somebody_else(), pytest.raises(PermissionError) as caught:
        write(path)
    assert caught.value.filename == str(path)
    assert "Permission denied" in str(caught.value)
    assert os.listdir(shared) == (["a"] if old else [])


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
    try:
        made = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no program to mount a disk")
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_keeps_the_old_file(small_disk):
    path = small_disk / "a"
    path.write_text("old")
    with pytest.raises(OSError, match="No space left") as caught:
        write(path, "x" * 100_000)
    assert (caught.value.filename, caught.value.errno) == (str(path), errno.ENOSPC)
    assert os.listdir(small_disk) == ["a"]
    assert path.read_text() == "old"


LIMITED = """
import resource
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
print("limited", flush=True)
try:
    with atomic_write(sys.argv[1]) as file:
        file.write("x" * int(sys.argv[2]))
        if sys.argv[3:]:
            raise KeyboardInterrupt
except OSError as error:
    print(error.filename, error.errno)
except KeyboardInterrupt:
    print("interrupted")
"""


# The first is too long for the buffer; of the second all is still to be written.
@pytest.mark.parametrize("length", [100_000, 2000])
def test_a_file_beyond_the_limit_keeps_the_old_file(tmp_path, length):
    path = tmp_path / "a"
    path.write_text("old")
    with running(LIMITED, path, length) as process:
        assert process.stdout.read().decode() == f"{path} {errno.EFBIG}\n"
    assert (os.listdir(tmp_path), path.read_text()) == (["a"], "old")


def test_a_full_disk_does_not_hide_ctrl_c(tmp_path):
    with running(LIMITED, tmp_path / "a", 2000, "raise") as process:
        assert process.stdout.read() == b"interrupted\n"
    assert os.listdir(tmp_path) == []


def test_no_file_can_be_opened_any_more(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files") as caught:
            write(tmp_path / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.filename == str(tmp_path / "a")
    assert os.listdir(tmp_path) == []


# What may be read


def test_a_file_and_a_link_to_it_may_be_read(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("a")
    for name in ("a", "link"):
        assert check_readable_file(tmp_path / name) is None
        assert check_readable_file(str(tmp_path / name)) is None


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_may_not_be_read(tmp_path, kind):
    make, message, _ = NO_FILES[kind]
    make(tmp_path / "a")
    with pytest.raises(OSError, match=message) as caught:
        check_readable_file(tmp_path / "a")
    assert caught.value.filename == str(tmp_path / "a")


def test_a_device_may_not_be_read():
    with pytest.raises(OSError, match="is a device, not a file"):
        check_readable_file("/dev/zero")


@pytest.mark.parametrize(
    "name",
    ["absent", "file/below", "a\0b", "dangling"],
    ids=["absent", "below a file", "with NUL", "dangling"],
)
def test_what_is_not_there(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("absent")
    with pytest.raises(FileNotFoundError) as caught:
        check_readable_file(tmp_path / name)
    assert caught.value.strerror == "no such file"


def test_what_may_not_be_read_by_us(shared):
    inside = shared / "closed" / "a"
    inside.parent.mkdir()
    for path in (shared / "a", inside):
        path.touch()
    (shared / "a").chmod(0)
    inside.parent.chmod(0)
    for path in (shared / "a", inside):
        with somebody_else(), pytest.raises(PermissionError) as caught:
            check_readable_file(path)
        assert caught.value.strerror == "may not be read: permission denied"
    inside.parent.chmod(0o755)


@pytest.mark.parametrize("kind", NO_FILES)
def test_an_archive_that_is_no_file_is_one_line_at_once(tmp_path, kind):
    make, message, _ = NO_FILES[kind]
    make(tmp_path / "a")
    with pytest.raises(ModelFileError, match=message) as caught:
        read_archive(tmp_path / "a")
    assert str(caught.value).startswith(f"{tmp_path / 'a'}: is a ")
    assert len(str(caught.value).splitlines()) == 1


def test_an_archive_is_read_back(tmp_path):
    path = Path(tmp_path / "archive")
    write_archive(path, {"a": (1, 2)}, [np.arange(3)])
    described, (array,) = read_archive(path)
    assert described == {"a": (1, 2)}
    np.testing.assert_array_equal(array, np.arange(3))
