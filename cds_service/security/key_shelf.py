"""What a client's URL gave when its keys were last fetched, for all workers of a server together.

A file without a name, made before the workers are forked, which inherit it: a worker that begins while the URL does not
answer knows what the others know, and none asks what another has just asked. It ends with the server, so that a restart
forgets a key that was withdrawn.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

_ASKED = struct.Struct("<d")
_GIVEN = struct.Struct("<dI32s")
"""When it was given, how many bytes, and their digest, which differs while they are being written."""
_BEGINNING = _ASKED.size + _GIVEN.size
_NEVER = float("-inf")


class Shelf:
    """The last answer of one URL. Times are those of ``time.monotonic``, which processes of one machine share.

    ``file`` is the descriptor that workers inherit.
    """

    def __init__(self) -> None:
        with tempfile.TemporaryFile(prefix="coverage-cds-keys-") as file:
            self.file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.file)
        self._write(0, _ASKED.pack(_NEVER) + _GIVEN.pack(_NEVER, 0, b""))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process is in here. Threads of one process are not kept apart."""
        fcntl.lockf(self.file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self.file, fcntl.LOCK_UN)

    def asked(self) -> float:
        """Return when the URL was last asked by any process."""
        found: float = _ASKED.unpack(self._read(0, _ASKED.size))[0]
        return found

    def note_asked(self, now: float) -> None:
        """Let all processes know that the URL is being asked."""
        self._write(0, _ASKED.pack(now))

    def newer_than(self, moment: float) -> tuple[float, bytes] | None:
        """Return when the last answer came, and the answer; None when it is no newer, or just being written."""
        given, size, digest = _GIVEN.unpack(self._read(_ASKED.size, _GIVEN.size))
        if given <= moment:
            return None
        data = self._read(_BEGINNING, size)
        return (given, data) if hashlib.sha256(data).digest() == digest else None

    def keep(self, now: float, data: bytes) -> None:
        """Let all processes know an answer. Raises OSError when there is no room for it."""
        self._write(_BEGINNING, data)
        self._write(_ASKED.size, _GIVEN.pack(now, len(data), hashlib.sha256(data).digest()))

    def _read(self, place: int, size: int) -> bytes:
        return os.pread(self.file, size, place)

    def _write(self, place: int, data: bytes) -> None:
        if os.pwrite(self.file, data, place) < len(data):
            raise OSError("the disk took only a part of the keys")
