"""A worker: another process of this machine, which calls functions for this one.

It is a Python that loads NumPy only, so it starts in a tenth of a second. A message is
a pickle behind its length. Each end sends and receives it whole in one call of the
system: a thread that reads a part at a time waits for Python's lock before each part.
Large arrays follow, each from and to its own memory.

The worker has a session of its own, so Ctrl-C does not reach it. It ends when its other
end is closed: also if that process was killed.
"""

# SPDX-License-Identifier: BSD-3-Clause

import io
import os
import pickle
import socket
import struct
import subprocess
import sys
import threading

from threadpoolctl import threadpool_limits

# The same paths, so that it finds the same modules.
_CODE = f"import sys; sys.path[:] = sys.argv[1:]; from {__name__} import serve; serve()"
_LENGTH = struct.Struct("<QQ")  # of the pickle, and how many arrays follow
_SIZE = struct.Struct("<Q")  # of an array
_LARGE = 2**20  # bytes


class LostError(Exception):
    """A call that a worker did not answer; nothing has changed here."""


def can_start():
    """Return whether this Python knows how to start another one."""
    frozen = getattr(sys, "frozen", False)
    return os.name == "posix" and bool(sys.executable) and not frozen


class Worker:
    """The end of this process.

    Raises
    ------
    LostError
        If the worker cannot start.
    """

    def __init__(self):
        self._sending, self._receiving = threading.Lock(), threading.Lock()
        self._socket, theirs = socket.socketpair()
        # A program may have set another default.
        self._socket.settimeout(None)
        try:
            with theirs:
                self._process = _start(theirs)
        except BaseException as error:
            self._socket.close()
            if isinstance(error, Exception):
                raise LostError(str(error)) from error
            raise

    def call(self, function, *arguments):
        """Let the worker call a function, and wait for what it returns.

        Parameters
        ----------
        function : callable
            A function of a module.
        *arguments : object
            Its arguments.

        Returns
        -------
        result : object
            What it returned.

        Raises
        ------
        LostError
            If the worker has died, the function has failed, or something cannot be
            pickled.
        """
        try:
            # Answers come in the order of the calls: who has sent is next to receive.
            with self._sending:
                _send(self._socket, (function, arguments))
                self._receiving.acquire()
            try:
                return _receive(self._socket)
            finally:
                self._receiving.release()
        except BaseException as error:
            # The answer may still come; nobody may take it for the next one.
            self.end()
            if isinstance(error, Exception):
                raise LostError(str(error)) from error
            raise

    def end(self):
        """End the worker, whatever it does."""
        self._process.kill()
        self._process.wait()
        # Not earlier: a thread that waits for an answer sees the end now.
        self._socket.close()


def _start(connection):
    """Start a process that serves at a socket."""
    return subprocess.Popen(
        [sys.executable, "-c", _CODE, *sys.path],
        stdin=connection,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def serve():
    """Answer calls until the other end is closed: the worker's whole life.

    If a function fails, so does the worker: its caller can find out the reason.
    """
    from . import _arrays  # noqa: F401 - what it needs, before the first call

    connection = socket.socket(fileno=0)
    with connection, threadpool_limits(1, user_api="blas"):
        while True:
            try:
                function, arguments = _receive(connection)
            except EOFError:
                break
            _send(connection, function(*arguments))


def _send(connection, thing):
    large = []

    def stays(buffer):
        """Keep a large buffer apart from the pickle, and leave a small one there."""
        array = buffer.raw()
        if array.nbytes >= _LARGE:
            large.append(array)
        return array.nbytes < _LARGE

    message = io.BytesIO()
    message.write(_LENGTH.pack(0, 0))
    pickle.dump(thing, message, protocol=5, buffer_callback=stays)
    content = message.getbuffer()
    _LENGTH.pack_into(content, 0, len(content) - _LENGTH.size, len(large))
    connection.sendall(content)
    for array in large:
        connection.sendall(_SIZE.pack(array.nbytes))
        connection.sendall(array)


def _receive(connection):
    length, n_large = _LENGTH.unpack(_read(connection, _LENGTH.size))
    content = _read(connection, length)
    sizes = (_SIZE.unpack(_read(connection, _SIZE.size)) for _ in range(n_large))
    return pickle.loads(content, buffers=[_read(connection, n) for (n,) in sizes])


def _read(connection, length):
    """Return so many bytes."""
    message = memoryview(bytearray(length))
    begin = 0
    while begin < length:
        n_read = connection.recv_into(message[begin:], 0, socket.MSG_WAITALL)
        if not n_read:
            raise EOFError("the other end is closed")
        begin += n_read
    return message
