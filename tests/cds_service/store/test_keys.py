import os
from pathlib import Path

import pytest

from cds_service.errors import SettingsError
from cds_service.settings import Settings
from cds_service.store.keys import Key, Keys, load_keys

ONE, TWO = "first secret of thirty-two letters", "second secret of thirty-two letters"


def test_a_patient_has_one_pseudonym_for_each_client_and_key() -> None:
    key = Key(ONE)
    found = {
        key.pseudonym("a", "p1"),
        key.pseudonym("b", "p1"),
        key.pseudonym(None, "p1"),
        key.pseudonym("a", "p2"),
        Key(TWO).pseudonym("a", "p1"),
        key.pseudonym("ap", "1"),
    }

    assert len(found) == 6
    assert key.pseudonym("a", "p1") == Key(ONE).pseudonym("a", "p1")
    assert not any("p1" in pseudonym for pseudonym in found if pseudonym.startswith("p1"))


def test_what_is_sealed_opens_as_what_it_is_about_only_and_unchanged() -> None:
    keys = Keys([ONE])
    sealed = keys.current.seal(b"plain", "card 1")

    assert keys.open(sealed, "card 1") == b"plain"
    assert b"plain" not in sealed
    assert keys.open(sealed, "card 2") is None
    assert keys.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "card 1") is None
    assert keys.open(b"", "card 1") is keys.open(sealed[:9], "card 1") is None


def test_after_a_rotation_the_first_key_is_used_and_the_old_one_still_opens() -> None:
    old, new = Keys([ONE]), Keys([TWO, ONE])
    sealed = old.current.seal(b"plain", "x")

    assert new.open(sealed, "x") == b"plain"
    assert new.current.id != old.current.id
    assert old.open(new.current.seal(b"plain", "x"), "x") is None


def test_without_a_configured_key_one_is_made_once_for_this_user_and_the_log_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings.load(data_dir=tmp_path / "data")

    first, second = load_keys(settings), load_keys(settings)

    path = tmp_path / "data/record.key"
    assert first.current.id == second.current.id
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["record.key"]
    err = capsys.readouterr().err
    assert err.count("key made") == 1
    assert path.read_text().strip() not in err


def test_of_two_processes_that_make_a_key_at_once_both_use_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = load_keys(Settings.load(data_dir=tmp_path)).current.id
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path.name != "record.key" and exists(path))

    assert load_keys(Settings.load(data_dir=tmp_path)).current.id == other


def test_two_containers_that_make_a_key_at_once_as_processes_of_one_number_use_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.load(data_dir=tmp_path)
    link = os.link
    others: list[str] = []

    def link_after_another_has(*paths: Path) -> None:
        if not others:
            others.append("")
            others[0] = load_keys(settings).current.id
        link(*paths)

    monkeypatch.setattr(os, "link", link_after_another_has)

    assert [load_keys(settings).current.id] == others
    assert [path.name for path in tmp_path.iterdir()] == ["record.key"]


@pytest.mark.parametrize("value", ["short", "", ",", f"{ONE},short"])
def test_a_secret_that_is_too_short_is_named(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match="COVERAGE_CDS_RECORD_KEYS"):
        load_keys(Settings.load(data_dir=tmp_path, record_keys=value))


def test_two_containers_whose_processes_have_the_same_number_make_one_key_in_the_folder_that_they_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, links, found = Settings.load(data_dir=tmp_path), os.link, []

    def linked_later(own: Path, path: Path) -> None:
        monkeypatch.undo()
        found.append(load_keys(settings))
        links(own, path)

    monkeypatch.setattr(os, "link", linked_later)
    found.append(load_keys(settings))

    assert {keys.current.id for keys in found} == {load_keys(settings).current.id}
    assert [path.name for path in tmp_path.iterdir()] == ["record.key"]


def test_a_key_file_that_was_emptied_is_named_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "record.key").write_text("\n")

    with pytest.raises(SettingsError, match=r"record\.key"):
        load_keys(Settings.load(data_dir=tmp_path))
