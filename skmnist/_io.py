"""Files: written whole or not at all; archives of JSON and plain arrays."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import errno
import functools
import hashlib
import io
import json
import os
import platform
import re
import stat
import time
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

import numpy as np
from numpy.typing import NDArray

from ._format import OneLineError

FORMAT = "skmnist classifier"
VERSION = 1
# The entry of an archive that is not an array, and how long it may be.
DESCRIPTION = "description.json"
LARGEST_DESCRIPTION = 32 << 20  # bytes

# The file's name, the machine, the process and a random number. Users' own files do
# not have such names.
_TEMPORARY = re.compile(
    r"\..+\.(?P<machine>[0-9a-f]{12})-(?P<pid>\d{1,10})-[0-9a-f]{16}\.tmp", re.DOTALL
)
# Characters of the target's name in the name of its temporary file. A name has at most
# 255 bytes on most systems, and a character up to 4.
_KEPT_OF_NAME = 40
# Names of the temporary files that this process writes now.
_in_progress: set[str] = set()
# A process that had this one's number before ended before this time.
_STARTED = time.time()
# Seconds after which nobody writes a file any more, whoever it was.
_ABANDONED = 24 * 3600.0

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# Errors of a full or broken disk. The system names no file in them.
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
# Errors of a file system without fsync.
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}


@overload
def atomic_write(
    path: str | os.PathLike[str], mode: Literal["w"] = "w"
) -> AbstractContextManager[TextIO]: ...


@overload
def atomic_write(
    path: str | os.PathLike[str], mode: Literal["wb"]
) -> AbstractContextManager[BinaryIO]: ...


@contextlib.contextmanager
def atomic_write(
    path: str | os.PathLike[str], mode: Literal["w", "wb"] = "w"
) -> Iterator[IO[Any]]:
    r"""Open a file for writing such that it appears whole or not at all.

    The content goes to a temporary file in the same folder. When it is on the disk,
    the temporary file takes the place of the old file. After an exception, Ctrl-C
    included, the temporary file is removed, and the old file is as it was. If the
    process is killed, the temporary file stays: see `sweep_temporary_files`.

    - A new file gets the permissions that the umask allows. An old file keeps its
      permissions, and where possible its owner.
    - A link stays a link: the file that it points to is written.
    - A device such as ``/dev/null`` is written to. It is never replaced.

    Parameters
    ----------
    path : str or path-like
        The file to write.
    mode : {"w", "wb"}, default="w"
        Text, in UTF-8 with ``\n`` at the end of lines, or bytes.

    Yields
    ------
    file : file object
        What to write to. Do not close it.

    Raises
    ------
    OSError
        If the file cannot be written: the folder is missing or may not be written to,
        the old file is read-only, the disk is full, or `path` is a folder, a FIFO, a
        socket or a disk. Its `filename` is `path`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmnist._io import atomic_write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(f"{folder}/note.txt") as file:
    ...         _ = file.write("whole")
    ...     Path(f"{folder}/note.txt").read_text()
    'whole'
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"mode must be 'w' or 'wb'; got {mode!r}")
    how = {} if mode == "wb" else {"encoding": "utf-8", "newline": "\n"}
    old = check_target(path)
    if old is not None and stat.S_ISCHR(old.st_mode):
        # A device cannot be sought in, as zipfile does.
        content = io.BytesIO() if mode == "wb" else io.StringIO(newline="\n")
        yield content
        with (
            _errors_named(path, path),
            open(path, mode, opener=_open_device, **how) as device,
        ):
            device.write(content.getvalue())
        return
    # A link is followed, also one that points to a file that is not there yet.
    target = Path(os.path.realpath(path))
    temporary = temporary_path(target)
    # Until it has the old file's permissions, only its owner may read the new file.
    opener = functools.partial(os.open, mode=0o666 if old is None else 0o600)
    _in_progress.add(temporary.name)
    try:
        with _errors_named(path, temporary):
            with open(temporary, mode.replace("w", "x"), opener=opener, **how) as file:
                with _dropped_after_errors(file):
                    yield file
                    file.flush()
                _sync(file.fileno())
            if old is not None:
                _keep_mode_and_owner(temporary, old)
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    finally:
        _in_progress.discard(temporary.name)
    _sync_folder(target.parent)


def check_target(path: str | os.PathLike[str]) -> os.stat_result | None:
    """Return what is known of a file to write; raise if it cannot be written.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    known : os.stat_result or None
        None for a new file. Its folder is not looked at.

    Raises
    ------
    OSError
        If there is something else, a link that leads nowhere but to itself, or a file
        that may not be written to.
    """
    name = os.fspath(path)
    try:
        found = os.stat(path)
    except FileNotFoundError:
        if name.endswith(("/", os.sep)):
            raise _not_a_file(stat.S_IFDIR, name) from None
        return None
    if stat.S_IFMT(found.st_mode) not in (stat.S_IFREG, stat.S_IFCHR):
        raise _not_a_file(found.st_mode, name)
    if not may_access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "may not be written to", name)
    return found


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return a path in which "~" or "~name" at the beginning is a home folder."""
    return Path(os.path.expanduser(path))


def may_access(path: str | os.PathLike[str], access: int) -> bool:
    """Return whether this process may do something with a file; see `os.access`."""
    return os.access(path, access, effective_ids=os.access in os.supports_effective_ids)


def _not_a_file(mode: int, name: str) -> OSError:
    """Return the error that says what a path is instead of a file."""
    kind = stat.S_IFMT(mode)
    number = errno.EISDIR if kind == stat.S_IFDIR else errno.EINVAL
    return OSError(number, f"is {_KINDS.get(kind, 'special')}, not a file", name)


def _open_device(path: str, flags: int) -> int:
    """Open a device without waiting for its other end."""
    if hasattr(os, "O_NONBLOCK"):
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
        os.set_blocking(descriptor, True)
        return descriptor
    return os.open(path, flags)


def temporary_path(target: Path) -> Path:
    """Return an unused path in a file's folder, for the content that will replace it.

    The name says which process of which machine made it, for `sweep_temporary_files`.
    """
    name = f".{target.name[:_KEPT_OF_NAME]}.{_machine()}-{os.getpid()}"
    return target.with_name(f"{name}-{os.urandom(8).hex()}.tmp")


@functools.cache
def _machine() -> str:
    """Return 12 characters that name this machine, or this container on it."""
    known = [platform.node()]
    # Copies of a machine have one name and one number, but each starts by itself.
    for file in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        with contextlib.suppress(OSError):
            known.append(Path(file).read_text("utf-8"))
    with contextlib.suppress(OSError):
        known.append(str(os.stat("/proc/self/ns/pid").st_ino))
    text = "\n".join(known).encode(errors="surrogateescape")
    return hashlib.sha256(text).hexdigest()[:12]


@contextlib.contextmanager
def _dropped_after_errors(file: IO[Any]) -> Iterator[None]:
    """After an exception, close a file without writing what is left in its buffer."""
    try:
        yield
    except BaseException:
        # An error of a full disk would hide the exception that came first.
        getattr(file, "buffer", file).raw.close()
        raise


def _keep_mode_and_owner(temporary: Path, old: os.stat_result) -> None:
    """Give a file the owner and permissions of the one that it will replace."""
    if hasattr(os, "chown"):
        # Only root may give a file away; the group may be one of our own.
        for owner in (old.st_uid, -1):
            with contextlib.suppress(OSError):
                os.chown(temporary, owner, old.st_gid)
                break
    # Some file systems have no permissions.
    with contextlib.suppress(OSError):
        os.chmod(temporary, stat.S_IMODE(old.st_mode))


def _sync(descriptor: int) -> None:
    """Wait until a file's content is on the disk, where the file system can say so."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _sync_folder(folder: Path) -> None:
    """Wait until a folder's list of names is on the disk, where the system can."""
    # The file is in its place. Windows opens no folder, and a folder may be one that
    # we may write to but not read.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _errors_named(
    path: str | os.PathLike[str], temporary: str | os.PathLike[str]
) -> Iterator[None]:
    """Make errors name the file that was asked for, not the temporary one."""
    try:
        yield
    except OSError as error:
        nameless = error.filename is None and error.errno in _OF_THE_DISK
        if nameless or str(error.filename) == str(temporary):
            error.filename, error.filename2 = os.fspath(path), None
        raise


def sweep_temporary_files(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files of `atomic_write` that killed processes left.

    Files of this machine are removed if their process is dead. Other machines may
    write to the same folder: their files are removed when they have not changed for a
    day. What cannot be removed stays.

    Parameters
    ----------
    folder : str or path-like
        The folder to sweep, and all folders in it.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            found = _TEMPORARY.fullmatch(name)
            if found is None or name in _in_progress:
                continue
            with contextlib.suppress(OSError):
                known = os.lstat(path)
                if stat.S_ISREG(known.st_mode) and _is_left_over(found, known.st_mtime):
                    os.unlink(path)


def _is_left_over(found: re.Match[str], changed: float) -> bool:
    """Return whether no process writes a temporary file any more."""
    if time.time() - changed > _ABANDONED:
        return True
    if found["machine"] != _machine():
        return False
    pid = int(found["pid"])
    # Process numbers are used again: a dead process may have had this one's number.
    return changed < _STARTED if pid == os.getpid() else not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    import psutil

    try:
        # A zombie is dead; its parent has not asked yet how it ended.
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def check_readable_file(path: str | os.PathLike[str]) -> None:
    """Raise an OSError at once unless a path is a file that may be read.

    To open a FIFO or a device could wait for ever. This function opens nothing.

    Parameters
    ----------
    path : str or path-like
        The file; a link is followed.

    Raises
    ------
    OSError
        FileNotFoundError, IsADirectoryError, PermissionError, or OSError for a FIFO
        and the like. Its `strerror` says what is wrong, its `filename` is `path`.

    Examples
    --------
    >>> from skmnist._io import check_readable_file
    >>> check_readable_file("no-such-file")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] no such file: 'no-such-file'
    """
    name = os.fspath(path)
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        # A ValueError: no file's name has a NUL in it.
        raise FileNotFoundError(errno.ENOENT, "no such file", name) from None
    except PermissionError:
        raise _may_not_be_read(name) from None
    if not stat.S_ISREG(mode):
        raise _not_a_file(mode, name)
    if not may_access(path, os.R_OK):
        raise _may_not_be_read(name)


def _may_not_be_read(name: str) -> PermissionError:
    return PermissionError(errno.EACCES, "may not be read: permission denied", name)


def to_json(value: Any, name: Any = "it") -> Any:
    """Convert a value to JSON such that `_archive.from_json` returns an equal one.

    Parameters
    ----------
    value : None, bool, number, str, tuple, list, dict or ndarray
        The value; tuples, lists and dicts may hold each other.
    name : str, default="it"
        How to name the value in an error. Inside a dict, it is the key.

    Returns
    -------
    encoded : JSON value
        Tuples, dicts and arrays become objects that name their type.

    Raises
    ------
    TypeError
        If the value, or one inside it, has another type.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [to_json(v, name) for v in value]
    if isinstance(value, tuple):
        return {"tuple": [to_json(v, name) for v in value]}
    if isinstance(value, dict):
        return {"dict": [[to_json(k), to_json(v, k)] for k, v in value.items()]}
    if isinstance(value, np.ndarray):
        return {"array": to_json(value.tolist(), name), "dtype": str(value.dtype)}
    raise TypeError(f"{name!r} cannot be saved as plain data. Got {value!r}.")


class ModelFileError(OneLineError):
    """A file is not a saved classifier, or it is damaged.

    Parameters
    ----------
    message : str
        What is wrong, in one line.
    """


def write_archive(
    path: str | os.PathLike[str],
    description: dict[str, Any],
    arrays: list[NDArray[Any]],
) -> None:
    """Write a description and arrays to one file, as `atomic_write` does.

    Parameters
    ----------
    path : str or path-like
        The file to write; an old one is replaced.
    description : dict
        Plain data, see `to_json`.
    arrays : list of ndarray
        Numbers; their order is kept.

    Raises
    ------
    TypeError
        If the description holds something that is not plain data, or too much.
    OSError
        If the file cannot be written.
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        "n_arrays": len(arrays),
        "content": to_json(description),
    }
    described = json.dumps(header, indent=1).encode()
    if len(described) > LARGEST_DESCRIPTION:
        raise TypeError(
            f"it cannot be saved: all but its arrays takes {len(described)} bytes, and "
            f"at most {LARGEST_DESCRIPTION} can be read again"
        )
    with atomic_write(user_path(path), "wb") as file:
        _write_zip(file, described, arrays)


def _write_zip(file: BinaryIO, described: bytes, arrays: list[NDArray[Any]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zip_:
        zip_.writestr(DESCRIPTION, described)
        for i, array in enumerate(arrays):
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            # Weights hardly get smaller; to compress them takes longer than an epoch.
            zip_.writestr(array_entry(i), buffer.getvalue(), zipfile.ZIP_STORED)


def array_entry(i: int) -> str:
    """Return the name of an array in an archive, counted from 0."""
    return f"arrays/{i:04d}.npy"
