"""What the database did not take: signed JSON Lines on disk, one file for each process, until it is stored."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import orjson

from cds_service.logs import log
from cds_service.store.entry import Entry
from cds_service.store.folders import make_folder, need_room
from cds_service.store.keys import Keys

FOLDER = "journal"
SUFFIX = ".jsonl"
DAMAGED = ".damaged"
BEGUN = ".begun"
"""Ends the name of a file that is not locked yet."""
LONGEST = 8 * 1024 * 1024
"""Bytes after which a new file is begun: a file is read whole when it is stored."""
_KEY_ID = re.compile(r"[0-9a-f]{8}")


class _UnknownKey(Exception):  # noqa: N818 - named for what is the matter
    """A line is signed with a key that is not configured; the message is the key's id."""


class Taken(NamedTuple):
    """A file of the journal that this process alone may store now."""

    path: Path
    entries: list[Entry]
    damaged: list[bytes]
    unknown: frozenset[str]
    """Ids of keys that are not configured: what they signed may be as it was written."""


class Depth:
    """Counts the lines in all files of a journal, reading what has been added since the last time. Safe for threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._counted: dict[Path, tuple[int, int]] = {}

    def now(self) -> int:
        """Return how many lines there are."""
        with self._lock:
            self._counted = dict(filter(None, map(self._read_on, self._folder.glob(f"*{SUFFIX}"))))
            return sum(lines for _, lines in self._counted.values())

    def _read_on(self, path: Path) -> tuple[Path, tuple[int, int]] | None:
        """Return the bytes that have been read of a file and the lines in them; None when it has been stored."""
        size, lines = self._counted.get(path, (0, 0))
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < size:  # a line that could not be written whole was taken back
                    size, lines = 0, 0
                file.seek(size)
                while part := file.read(LONGEST):
                    size, lines = size + len(part), lines + part.count(b"\n")
        except OSError:
            return None
        return path, (size, lines)


class Journal:
    """The journal of one process. Every file is locked by the process that writes it or stores what is in it."""

    def __init__(self, data_dir: Path, keys: Keys) -> None:
        self.folder = data_dir / FOLDER
        self._keys = keys
        self._lock = threading.Lock()
        self._file: int | None = None
        self._path: Path | None = None
        self._left: set[Path] = set()

    def append(self, entry: Entry) -> None:
        """Return when the entry is on disk, whole. Raises OSError; then nothing of it is there."""
        line = entry.line(self._keys.current)
        with self._lock:
            file = self._opened()
            try:
                _write(file, line)
            except OSError:
                self._forget_empty(file)
                raise
            if os.fstat(file).st_size >= LONGEST:
                self._close()

    def waiting(self) -> bool:
        """Whether there may be something to store, of this process or another one."""
        return any(path not in self._left for path in self.folder.glob(f"*{SUFFIX}"))

    def is_writable(self) -> bool:
        """Whether an entry could be written now, as far as can be known without writing one."""
        try:
            make_folder(self.folder)
            need_room(self.folder)
        except OSError:
            return False
        return True

    def depth(self) -> int:
        """Return how many lines wait in all files."""
        return Depth(self.folder).now()

    def entries(self) -> Iterator[Entry]:
        """Yield what waits in all files now, and leave it there; a line that nobody can trust is left out."""
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            with contextlib.suppress(FileNotFoundError):  # stored and deleted just now
                yield from self._taken(path).entries

    def take(self) -> Iterator[Taken]:
        """Yield each file that no living process writes, and this process's own, closed.

        One of a key that is not configured is left for a process that has the key, and so is one with a line of such a
        key among others, once those are stored: to store them again then changes nothing.
        Whoever takes a file stores its entries and then calls ``done`` or, to try it later, nothing.
        """
        self.close()
        for path in sorted(set(self.folder.glob(f"*{SUFFIX}")) - self._left):
            with _held(path) as held:
                if not held:
                    continue
                taken = self._taken(path)
                if taken.unknown and not taken.entries:
                    self._leave(taken)
                else:
                    yield taken

    def done(self, taken: Taken) -> None:
        """Forget a file: what is in it is stored. Lines that nobody can trust are set aside."""
        if taken.unknown:
            self._leave(taken)
            return
        for line in taken.damaged:
            log.error("journal line damaged", file=taken.path.name)
            self._keep_damaged(line + b"\n")
        taken.path.unlink()
        _sync(self.folder)

    def set_aside(self, entry: Entry) -> None:
        """Keep an entry that the database refuses where somebody can look at it, and where it stops nothing."""
        self._keep_damaged(entry.line(self._keys.current))

    def close(self) -> None:
        """Close this process's file; the next entry begins a new one."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _forget_empty(self, file: int) -> None:
        # whoever stores journals would find it, and nothing in it, again and again
        if self._path is not None and not os.fstat(file).st_size:
            self._path.unlink(missing_ok=True)
            self._close()

    def _opened(self) -> int:
        if self._file is not None:
            return self._file
        make_folder(self.folder)
        path = self.folder / f"{os.getpid()}-{uuid4()}{SUFFIX}"
        # by its own name it would be found before it is locked, taken for that of a process that has ended, and deleted
        begun = path.with_suffix(BEGUN)
        file = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            begun.rename(path)
            _sync(self.folder)
            _sync(self.folder.parent)
        except OSError:
            os.close(file)
            begun.unlink(missing_ok=True)
            raise
        self._file, self._path = file, path
        return file

    def _taken(self, path: Path) -> Taken:
        whole, _, _torn = path.read_bytes().rpartition(b"\n")  # nobody was told that a torn line was recorded
        entries, damaged, unknown = [], [], set()
        for line in filter(None, whole.split(b"\n")):
            try:
                entry = self._read(line)
            except _UnknownKey as error:
                unknown.add(str(error))
                continue
            if entry is None:
                damaged.append(line)
            else:
                entries.append(entry)
        return Taken(path, entries, damaged, frozenset(unknown))

    def _leave(self, taken: Taken) -> None:
        log.error("journal key unknown", file=taken.path.name, keys=sorted(taken.unknown))
        self._left.add(taken.path)

    def _read(self, line: bytes) -> Entry | None:
        try:
            held = orjson.loads(line)
            key_id, kind, name, record, sealed = (held[name] for name in ("key", "kind", "id", "record", "sealed"))
            key = self._keys.by_id(key_id)
            if key is None and _KEY_ID.fullmatch(key_id):
                raise _UnknownKey(key_id)
            if key is None or held["mac"] != key.sign("journal", kind, name, record, *sealed):
                return None
            return Entry(kind, name, record, tuple(base64.b64decode(part) for part in sealed))
        except (ValueError, KeyError, TypeError):
            return None

    def _keep_damaged(self, line: bytes) -> None:
        file = os.open(self.folder / f"lines{DAMAGED}", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            _write(file, line)
        finally:
            os.close(file)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Lock a file, if it is still there and nobody else has it locked."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        yield False
        return
    try:
        # another process may have stored and deleted it between the opening and the lock
        yield os.fstat(file).st_nlink > 0
    finally:
        os.close(file)


def _write(file: int, line: bytes) -> None:
    """Append a line, all of it or, with OSError, nothing."""
    size = os.fstat(file).st_size
    try:
        written = os.write(file, line)
        if written == len(line):
            os.fsync(file)
            return
    except OSError:
        os.ftruncate(file, size)
        raise
    os.ftruncate(file, size)
    raise OSError("the disk took only a part of the line")


def _sync(folder: Path) -> None:
    """Make the names in a folder as durable as what the files hold."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
