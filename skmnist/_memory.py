"""Memory that runs out: noticed before it does, and said in one line."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ._format import visible

MB = 2**20
# The address space that a process takes, measured on Linux with TensorFlow 2.21. With
# less, TensorFlow ends in an error of its import, or without a word: its C++ code calls
# abort() where it gets no memory.
LIBRARIES = 660 * MB  # NumPy, scikit-learn and those of a command
TRAINING = 1700 * MB  # TensorFlow, and the programs of a first fit
OF_A_THREAD = 50 * MB  # each thread's stack, and its part of the allocator
SPARE = 200 * MB  # what shall be left before any fit
# In a container, with all that the system can take back taken back.
RESIDENT = 256 * MB
# A number from here on means "no limit".
NO_LIMIT = 2**60


class OutOfMemoryError(MemoryError):
    """Memory ran out in a fit, or in the work of a command.

    Parameters
    ----------
    message : str
        What ran out, and in what. It is made one line without control characters.
    """

    def __init__(self, message: str) -> None:
        super().__init__(visible(" ".join(message.split())))


class TooLittleMemoryError(OutOfMemoryError):
    """The limits of this process leave too little memory for any fit.

    This says nothing of the parameters of the fit. So a search ends with it.
    """


@dataclass(frozen=True)
class MemoryLimit:
    """A limit of the memory of this process.

    Parameters
    ----------
    what : str
        What is limited, and by whom.
    n_bytes : int
        The limit.
    used : int
        What this process has taken of it.
    """

    what: str
    n_bytes: int
    used: int

    @property
    def left(self) -> int:
        """Bytes that the process can still take."""
        return self.n_bytes - self.used

    def __str__(self) -> str:
        return f"{self.what} is limited to {megabytes(self.n_bytes)}"


def megabytes(n_bytes: float) -> str:
    """Write a number of bytes in megabytes."""
    return f"{n_bytes / MB:,.0f} MB"


def check_memory() -> None:
    """Raise an error where a limit leaves too little memory for the smallest fit.

    This reads a few small files and loads nothing, so it can stand before an import of
    TensorFlow.

    Raises
    ------
    TooLittleMemoryError
        If the limit of the address space, as set by ``ulimit -v``, or the limit of the
        container's memory is too small.

    Examples
    --------
    >>> from skmnist._memory import check_memory
    >>> check_memory()
    """
    loaded = "tensorflow" in sys.modules
    space = address_space()
    if space is not None:
        wanted = SPARE if loaded else TRAINING + SPARE + OF_A_THREAD * n_threads()
        left = space.n_bytes - max(space.used, LIBRARIES)
        if left < wanted:
            raise TooLittleMemoryError(
                f"too little memory to train a network: {space}, and "
                f"{megabytes(wanted - left)} more are needed; {_advice(loaded)}"
            )
    # Once TensorFlow is there, the container has had room for it.
    container = None if loaded else container_memory()
    if container is not None and container.left < RESIDENT:
        raise TooLittleMemoryError(
            f"too little memory to train a network: {container}, of which at least "
            f"{megabytes(RESIDENT)} are needed; give the container more"
        )


def _advice(loaded: bool) -> str:
    more = "set a larger one with 'ulimit -v'"
    return f"begin anew in a new process, or {more}" if loaded else more


def n_threads() -> int:
    """Return about how many threads TensorFlow starts."""
    return int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)) or os.cpu_count() or 1


def address_space() -> MemoryLimit | None:
    """Return the limit of the address space of this process; None if it has none."""
    import psutil

    process = psutil.Process()
    # Only Linux and FreeBSD have such a limit that holds.
    if not hasattr(process, "rlimit"):
        return None
    soft, _ = process.rlimit(psutil.RLIMIT_AS)
    if soft < 0 or soft >= NO_LIMIT:
        return None
    return MemoryLimit("the address space (ulimit -v)", soft, process.memory_info().vms)


def container_memory() -> MemoryLimit | None:
    """Return the limit of the container's memory; None if there is none."""
    n_bytes = _container_limit(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))
    if n_bytes is None:
        return None
    import psutil

    own = psutil.Process().memory_info().rss
    return MemoryLimit("the memory of this container (cgroup)", n_bytes, own)


@functools.lru_cache(maxsize=4)
def _container_limit(root: Path, groups: Path) -> int | None:
    """Return the lowest limit of the control groups of this process, in bytes.

    Parameters
    ----------
    root : pathlib.Path
        Where the system shows control groups.
    groups : pathlib.Path
        The file that lists those of this process.

    Returns
    -------
    n_bytes : int or None
        None without a limit.
    """
    try:
        lines = groups.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return None
    limits = []
    for line in lines:
        _, kinds, path = (line.split(":", 2) + ["", ""])[:3]
        if not path or (kinds and "memory" not in kinds.split(",")):
            continue
        # Version 2 has one tree of groups, version 1 has one for each kind.
        top = root / "memory" if kinds else root
        name = "memory.limit_in_bytes" if kinds else "memory.max"
        folder = top / path.strip("/")
        # The groups above limit, too. A container may see only its own, as the root.
        for group in (folder, *folder.parents):
            limits.append(_number_in(group / name))
            if group == top:
                break
    known = [n for n in limits if n is not None and n < NO_LIMIT]
    return min(known, default=None)


def _number_in(path: Path) -> int | None:
    """Return the number that a file holds; None if there is none."""
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text("utf-8"))
    return None


@contextlib.contextmanager
def memory_errors_named(doing: str) -> Iterator[None]:
    """Turn the errors of Python, NumPy and TensorFlow without memory into one kind.

    Parameters
    ----------
    doing : str
        What the block does, as in "while a network was trained".

    Raises
    ------
    OutOfMemoryError
        If memory runs out in the block. Other errors pass as they are.
    """
    try:
        yield
    except OutOfMemoryError:
        raise
    except Exception as error:
        if not is_of_memory(error):
            raise
        raise OutOfMemoryError(f"memory ran out {doing}: {explain(error)}") from error


def is_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    if type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's
        return True
    text = str(error)
    if any(words in text for words in ("std::bad_alloc", "Cannot allocate memory")):
        return True
    # Under a limit, libraries are not loaded and threads are not started.
    return address_space() is not None and any(
        words in text for words in ("failed to map segment", "can't start new thread")
    )


def said_of_memory(error: BaseException) -> str:
    """Say in one line what ran out, for an error that `is_of_memory`."""
    if isinstance(error, OutOfMemoryError):
        return str(error)
    return visible(f"memory ran out: {explain(error)}")


def explain(error: BaseException) -> str:
    """Return what an error says of the memory, and which limits there are."""
    first = next(filter(None, map(str.strip, str(error).splitlines())), "")
    limits = [str(limit) for limit in (address_space(), container_memory()) if limit]
    if isinstance(error, ImportError):
        first = "a library could not be loaded"
    return "; ".join([first or type(error).__name__, *limits])
