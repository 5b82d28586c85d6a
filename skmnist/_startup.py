"""TensorFlow starts quietly: what it says about the machine is kept off the terminal.

Its C++ code writes to the file descriptor of standard error, partly before it has read
how much it may say.
"""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import gc
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

# The switch: TensorFlow's own variable. What a user has set stays, and "0" shows all.
LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# Information is not shown, errors are. Warnings are where a GPU may lack its libraries:
# elsewhere there is only noise. On some processors, each fit of float64 prints eight
# lines "Not handling type DT_DOUBLE".
_WITH_GPU, _WITHOUT_GPU = "1", "2"
# The driver of NVIDIA on Linux, and the GPU of Windows in its subsystem for Linux.
_DRIVERS = ("/proc/driver/nvidia/version", "/dev/dxg")

_LOGGED = re.compile(
    r"(?:(?P<kind>[IWEF])\d{4} [\d:.]+ +\d+ (?:\S*/)?"
    r"|\d{4}-\d\d-\d\d [\d:.]+: (?P<old>[IWEF]) (?:\S*/)?)"
    r"(?P<file>\w+)\.(?:cc|h):\d+\] (?P<text>.*)"
)
# Two copies of a library in TensorFlow's own file; and that there is no GPU to use.
_NOISE = re.compile(
    r"Unable to register cu\w+ factory: Attempting to register factory for plugin"
    r"|computation placer already registered"
    r"|failed call to cuInit: .*(?:UNKNOWN ERROR \(303\)|NO_DEVICE|no CUDA-capable)"
)
_AROUND = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to "
    "STDERR",
    "To enable the following instructions: ",
)
_one_at_a_time = threading.RLock()


def without_noise(text: str) -> str:
    r"""Leave out the lines in which TensorFlow tells about the machine.

    Parameters
    ----------
    text : str
        What was written to standard error.

    Returns
    -------
    text : str
        All other lines, errors and warnings of TensorFlow among them.

    Examples
    --------
    >>> from skmnist._startup import without_noise
    >>> without_noise("I0000 00:00:1.5 7 cudart_stub.cc:31] Could not find cuda\nmine")
    'mine'
    """
    return "".join(
        line for line in text.splitlines(keepends=True) if not _is_noise(line)
    )


def _is_noise(line: str) -> bool:
    if line.startswith(_AROUND):
        return True
    found = _LOGGED.match(line)
    if found is None:
        return False
    information = "I" in (found["kind"], found["old"])
    return information or _NOISE.match(found["text"]) is not None


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Keep off the terminal what TensorFlow says of the machine while it starts.

    Whatever else is written to standard error in the meantime, by this thread or by
    another, is shown at the end of the block; after an exception all of it. If the
    environment variable ``TF_CPP_MIN_LOG_LEVEL`` is "0", nothing is held back.
    """
    if os.environ.get(LEVEL) == "0":
        yield
        return
    with _one_at_a_time, _level(), _apart() as held:
        yield
        held.is_whole = False


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Keep a block quiet and quick that imports Keras, where that loads TensorFlow.

    It does nothing if TensorFlow is loaded already.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    with quiet_start(), _without_collection():
        yield


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Look for no garbage: an import makes a million objects, and all of them stay.

    The looking is a fifth of the time that the import of Keras takes.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextlib.contextmanager
def _level() -> Iterator[None]:
    """Tell TensorFlow how much to say; it reads this once, when it is loaded."""
    if LEVEL in os.environ:
        yield
        return
    has_gpu = any(map(os.path.exists, _DRIVERS))
    os.environ[LEVEL] = _WITH_GPU if has_gpu else _WITHOUT_GPU
    try:
        yield
    finally:
        # Programs that the user starts are not ours to make quiet.
        os.environ.pop(LEVEL, None)


class _Held:
    """What is written to standard error in a block."""

    # Whether it is shown with its noise.
    is_whole = True


@contextlib.contextmanager
def _apart() -> Iterator[_Held]:
    """Hold back what is written to the file descriptor of standard error."""
    held = _Held()
    try:
        _flush()
        terminal = os.dup(2)
    except OSError:  # it is closed
        yield held
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield held
        finally:
            _flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            kept.seek(0)
            text = kept.read().decode(errors="surrogateescape")
            shown = text if held.is_whole else without_noise(text)
            with contextlib.suppress(OSError):
                os.write(2, shown.encode(errors="surrogateescape"))


def _flush() -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()
