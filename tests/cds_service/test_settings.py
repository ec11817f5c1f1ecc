from pathlib import Path

import pytest
from pydantic import ValidationError

from cds_service.errors import SettingsError
from cds_service.settings import Settings


def test_the_defaults_need_no_set_up() -> None:
    settings = Settings.load()

    assert settings.data_dir == Path("var")
    assert settings.silence == "standard"
    assert settings.fhir_servers == ()
    assert settings.cors_origins == ("*",)
    assert settings.prefetch == "full"
    assert settings.fetch_deadline == 3.0
    assert settings.answer_deadline == 4.5
    assert settings.max_body == 2 * 1024 * 1024


def test_the_environment_sets_values_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVERAGE_CDS_SILENCE", "strict")
    monkeypatch.setenv("COVERAGE_CDS_MAX_BODY", "100")

    settings = Settings.load(max_body=200)

    assert settings.silence == "strict"
    assert settings.max_body == 200


@pytest.mark.parametrize(
    "written",
    ["https://a.example.org/fhir, https://b.example.org", '["https://a.example.org/fhir", "https://b.example.org"]'],
)
def test_a_list_is_written_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("COVERAGE_CDS_FHIR_SERVERS", written)

    assert Settings.load().fhir_servers == ("https://a.example.org/fhir", "https://b.example.org")


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SILENCE", "loud"),
        ("FETCH_DEADLINE", "0"),
        ("FETCH_DEADLINE", "60"),
        ("ANSWER_DEADLINE", "0.5"),
        ("ANSWER_DEADLINE", "60"),
        ("PREFETCH", "some"),
        ("MAX_BODY", "-1"),
        ("BASE_URL", "ftp://cds.example.org"),
        ("LOG_LEVEL", "chatty"),
        ("FHIR_SERVERS", "[broken"),
        ("FHIR_SERVERS", "ehr.example.org/fhir"),
        ("FHIR_SERVERS", "https://ehr.example.org/fhir, https://user:password@ehr.example.org/fhir"),
    ],
)
def test_an_unusable_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"COVERAGE_CDS_{name}", value)

    with pytest.raises(SettingsError, match=f"COVERAGE_CDS_{name}: "):
        Settings.load()


@pytest.mark.parametrize("name", ["policies", "payers", "centres", "clients", "fhir_ca", "data_dir"])
def test_a_path_that_is_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"COVERAGE_CDS_{name}".upper(), " ")

    assert getattr(Settings.load(), name) == Settings.model_fields[name].default


def test_a_password_in_a_setting_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match=r"FHIR_SERVERS: .*number 2 is not a plain URL") as caught:
        Settings.load(fhir_servers=("https://a.example.org", "https://user:canary@b.example.org"))

    assert "canary" not in str(caught.value)


def test_a_public_url_is_kept_without_its_last_slash() -> None:
    assert Settings.load(base_url="https://cds.example.org/x/").base_url == "https://cds.example.org/x"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings.load().max_body = 1


class TestSecretsInFiles:
    URL = "postgresql://cds:secret@db.example.org/cds"

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / "coverage_cds_database_url").write_text(f"{self.URL}\n", encoding="utf-8")
        (tmp_path / "tls.key").write_text("of something else", encoding="utf-8")
        monkeypatch.setenv("COVERAGE_CDS_SECRETS_DIR", str(tmp_path))
        return tmp_path

    def database_url(self) -> str | None:
        url = Settings.load().database_url
        return url.get_secret_value() if url else None

    def test_a_file_named_for_a_setting_is_its_value(self, folder: Path) -> None:
        assert self.database_url() == self.URL

    def test_a_link_inside_the_folder_counts_as_kubernetes_mounts_it(self, folder: Path) -> None:
        (folder / "..data").mkdir()
        (folder / "coverage_cds_database_url").rename(folder / "..data/coverage_cds_database_url")
        (folder / "coverage_cds_database_url").symlink_to("..data/coverage_cds_database_url")

        assert self.database_url() == self.URL

    def test_a_variable_wins_over_a_file(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COVERAGE_CDS_DATABASE_URL", "sqlite:///other")

        assert self.database_url() == "sqlite:///other"

    def test_a_file_named_for_no_setting_is_an_error_since_its_value_would_be_missed(self, folder: Path) -> None:
        (folder / "coverage_cds_record_key").write_text("x", encoding="utf-8")

        with pytest.raises(SettingsError, match=r"COVERAGE_CDS_SECRETS_DIR: .*coverage_cds_record_key is named for no"):
            Settings.load()

    def test_a_folder_that_is_not_there_is_an_error(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COVERAGE_CDS_SECRETS_DIR", str(folder / "none"))

        with pytest.raises(SettingsError, match=r"COVERAGE_CDS_SECRETS_DIR: .*none is no folder"):
            Settings.load()

    def test_a_file_that_is_no_text_is_an_error_without_its_content(self, folder: Path) -> None:
        (folder / "coverage_cds_record_keys").write_bytes(b"secret \xff")

        with pytest.raises(SettingsError, match="COVERAGE_CDS_SECRETS_DIR") as caught:
            Settings.load()
        assert "secret \\xff" not in str(caught.value)
        assert caught.value.__cause__ is None
