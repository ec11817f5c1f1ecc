import errno
import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from cds_service import logs
from cds_service.settings import Settings
from cds_service.store import journal as journals
from cds_service.store.journal import Depth, Journal, Taken
from cds_service.store.own_storage import OwnStorage
from tests.cds_service.store.entries import card, decided, keys


@contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """A tmpfs of its own: needs root and the right to mount."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("no right to mount a tmpfs here; the faults of write and fsync are tested without one")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def journal(settings: Settings) -> Journal:
    return Journal(settings.data_dir, keys(settings))


def test_what_was_appended_is_taken_as_it_was_once_its_file_is_done(embedded: Settings) -> None:
    entries = [decided(embedded, card()), decided(embedded)]
    of_process = journal(embedded)
    for entry in entries:
        of_process.append(entry)

    assert of_process.waiting()
    assert of_process.depth() == 2
    [taken] = of_process.take()
    assert taken.entries == entries
    [again] = of_process.take()
    of_process.done(again)
    assert not of_process.waiting()
    assert list(of_process.take()) == []


def test_its_depth_is_told_anew_each_time_though_only_what_is_new_is_read(embedded: Settings) -> None:
    of_process, depth = journal(embedded), Depth(embedded.data_dir / journals.FOLDER)
    assert depth.now() == 0
    for expected in (1, 2, 3):
        of_process.append(decided(embedded))
        assert depth.now() == expected
    [path] = (embedded.data_dir / journals.FOLDER).iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
    assert depth.now() == 2
    path.write_bytes(whole + whole)
    assert depth.now() == 6
    path.unlink()
    assert depth.now() == 0


def test_a_journal_that_cannot_be_written_says_so_and_a_look_leaves_nothing(embedded: Settings) -> None:
    of_process = journal(embedded)

    assert of_process.is_writable()
    assert list(of_process.folder.iterdir()) == []
    of_process.folder.rmdir()
    of_process.folder.write_text("a file where the folder should be")
    assert not of_process.is_writable()


def test_only_the_service_s_user_may_read_it(embedded: Settings) -> None:
    of_process = journal(embedded)
    of_process.append(decided(embedded))

    paths = [of_process.folder, *of_process.folder.iterdir()]
    of_process.close()
    assert len(paths) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in paths)


def test_the_file_of_a_living_process_is_left_to_it_and_that_of_a_dead_one_is_taken(embedded: Settings) -> None:
    living, other = journal(embedded), journal(embedded)
    living.append(entry := decided(embedded))

    assert list(other.take()) == []
    living.close()  # as its end would
    assert [taken.entries for taken in other.take()] == [[entry]]


def test_a_file_that_another_process_has_just_stored_is_no_trouble(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_process = journal(embedded)
    of_process.append(decided(embedded))
    [path] = of_process.folder.iterdir()
    opened = os.open

    def opened_and_gone(name: Path, *rest: int) -> int:
        file = opened(name, *rest)
        path.unlink(missing_ok=True)
        return file

    monkeypatch.setattr(os, "open", opened_and_gone)
    assert list(of_process.take()) == []
    monkeypatch.undo()
    monkeypatch.setattr(Path, "glob", lambda *_: iter([path]))
    assert list(of_process.take()) == []


@pytest.mark.parametrize("finishes", [True, False], ids=["which is done with it", "which is at it"])
def test_a_file_that_is_only_being_begun_is_not_taken_by_another_process(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch, *, finishes: bool
) -> None:
    of_process, other = journal(embedded), journal(embedded)
    lock = fcntl.flock
    looks: list[Iterator[Taken]] = []

    def lock_after_another_has_looked(file: int, how: int) -> None:
        if not looks:
            looks.append(other.take())
            for taken in looks[0]:
                if not finishes:
                    break  # the file stays locked
                other.done(taken)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", lock_after_another_has_looked)
    of_process.append(entry := decided(embedded))

    [look] = looks
    assert list(look) == []
    of_process.close()
    assert [taken.entries for taken in other.take()] == [[entry]]


def test_the_depth_can_be_asked_while_another_process_stores_a_file(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_process = journal(embedded)
    of_process.append(decided(embedded))
    [path] = of_process.folder.iterdir()
    monkeypatch.setattr(Path, "glob", lambda *_: iter([path, path.with_name("stored-meanwhile.jsonl")]))

    assert of_process.depth() == 1


def test_a_torn_last_line_is_nobody_s(embedded: Settings) -> None:
    of_process = journal(embedded)
    of_process.append(entry := decided(embedded))
    of_process.close()
    [path] = of_process.folder.iterdir()
    path.write_bytes(path.read_bytes() + entry.line(keys(embedded).current)[:-20])

    [taken] = of_process.take()

    assert (taken.entries, taken.damaged) == ([entry], [])


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace(b"order-sign", b"order-edit"),
        lambda line: line.replace(b'"mac"', b'"mad"'),
        lambda line: line.replace(b'"key":"', b'"key":"0'),
        lambda _: b"x\n",
        lambda _: b"[]\n",
    ],
)
def test_a_line_that_was_changed_is_set_aside_and_spoils_no_other(embedded: Settings, damage: object) -> None:
    assert callable(damage)
    of_process = journal(embedded)
    entry = decided(embedded)
    line = entry.line(keys(embedded).current)
    of_process.folder.mkdir()
    (of_process.folder / "1.jsonl").write_bytes(damage(line) + line)

    [taken] = of_process.take()
    assert taken.entries == [entry]
    of_process.done(taken)

    assert (of_process.folder / "lines.damaged").read_bytes() == damage(line)
    assert not of_process.waiting()


def test_a_line_of_a_key_that_is_not_configured_waits_where_it_is_for_a_start_with_it(
    embedded: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("INFO")
    of_old = journal(embedded)
    of_old.append(entry := decided(embedded))
    of_old.close()
    new = embedded.model_copy(update={"record_keys": SecretStr("another secret that is long enough for a key")})
    without = journal(new)

    assert [list(without.take()) for _ in range(3)] == [[], [], []]
    assert not without.waiting()
    assert without.depth() == 1
    assert capsys.readouterr().err.count("journal key unknown") == 1

    without.append(decided(new))
    assert without.waiting()
    assert [taken.entries for taken in journal(embedded).take()] == [[entry]]


def test_a_long_file_is_followed_by_another(embedded: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "LONGEST", 1)
    of_process = journal(embedded)
    for _ in range(3):
        of_process.append(decided(embedded))

    assert [len(taken.entries) for taken in of_process.take()] == [1, 1, 1]


@pytest.mark.parametrize("fault", ["short", "write", "fsync"])
def test_an_entry_that_does_not_fit_leaves_no_trace(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    of_process = journal(embedded)
    of_process.append(entry := decided(embedded))
    write = os.write

    def broken(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def short(file: int, line: bytes) -> int:
        return write(file, line[:10])

    monkeypatch.setattr(os, "fsync" if fault == "fsync" else "write", short if fault == "short" else broken)
    with pytest.raises(OSError, match=r"No space|only a part"):
        of_process.append(decided(embedded))
    monkeypatch.undo()

    assert [taken.entries for taken in of_process.take()] == [[entry]]


def test_a_file_that_cannot_be_begun_is_tried_again(embedded: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    of_process = journal(embedded)

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        of_process.append(decided(embedded))
    monkeypatch.undo()
    of_process.append(entry := decided(embedded))

    assert sorted(len(taken.entries) for taken in of_process.take()) == [0, 1]
    assert entry in [e for taken in of_process.take() for e in taken.entries]


def test_an_entry_that_is_the_first_and_does_not_fit_leaves_no_file(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    of_process = journal(embedded)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", broken)
        with pytest.raises(OSError, match="No space"):
            of_process.append(decided(embedded))

    assert not of_process.waiting()
    of_process.append(decided(embedded))
    assert of_process.depth() == 1


def test_a_disk_that_is_as_good_as_full_takes_neither_lines_nor_records() -> None:
    with small_disk("2m") as disk:
        settings = Settings.load(data_dir=disk / "data", record_keys="a secret of the tests that is long enough")
        of_process, storage = journal(settings), OwnStorage(settings)
        storage.begin()
        assert of_process.is_writable()
        assert storage.answers()

        with (disk / "ballast").open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        os.truncate(disk / "ballast", (disk / "ballast").stat().st_size - 8192)

        assert not of_process.is_writable()
        assert not storage.answers()
        (disk / "ballast").unlink()
        assert storage.answers()


def test_a_full_disk_refuses_the_entry_and_keeps_every_earlier_one() -> None:
    with small_disk("64k") as disk:
        settings = Settings.load(
            data_dir=disk / "data", record_keys="a secret of the tests that is long enough for a key"
        )
        of_process = journal(settings)
        kept = []
        with pytest.raises(OSError, match=r"No space|only a part"):  # noqa: PT012 - it is the last of many that fails
            for _ in range(1000):
                entry = decided(settings, card())
                of_process.append(entry)
                kept.append(entry)

        assert kept
        [taken] = of_process.take()
        assert (taken.entries, taken.damaged) == (kept, [])
