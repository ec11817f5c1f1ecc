import subprocess
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cds_service import create_app, review
from cds_service.policy.errors import PolicyError
from cds_service.settings import Settings
from cds_service.store.engine import FILE
from cds_service.store.journal import FOLDER
from tests.conftest import NO_LIBRARY


def test_health_tells_that_the_process_is_there(client: FlaskClient) -> None:
    response = client.get("/healthz")

    assert (response.status_code, response.data) == (200, b'{"status":"ok"}')


def test_readiness_makes_the_store_and_leaves_nothing_else(client: FlaskClient, edge_settings: Settings) -> None:
    response = client.get("/readyz")

    assert (response.status_code, response.data) == (200, b'{"status":"ready"}')
    found = {path.name for path in edge_settings.data_dir.iterdir()}
    assert {name for name in found if not name.startswith(FILE)} == {"record.key", "migration.lock", FOLDER}
    assert list((edge_settings.data_dir / FOLDER).iterdir()) == []


def test_readiness_is_503_while_the_data_folder_cannot_be_written(client: FlaskClient, edge_settings: Settings) -> None:
    edge_settings.data_dir.write_text("a file where the folder should be")

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert response.get_json() == {
        "status": "not ready",
        "reasons": {"store": "the keys or tables for records cannot be read or made"},
    }
    assert client.get("/healthz").status_code == 200


def test_an_application_without_its_policies_does_not_come_into_being(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("policy: [")

    with pytest.raises(PolicyError):
        create_app(Settings.load(data_dir=tmp_path, policies=tmp_path))


def test_settings_come_from_the_environment_when_none_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVERAGE_CDS_DATA_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(review.Services, "load", lambda _: NO_LIBRARY)

    assert create_app().test_client().get("/readyz").status_code == 200
    assert (tmp_path / "elsewhere").is_dir()


def test_the_policies_can_be_used_without_a_web_server() -> None:
    look = "import sys, cds_service.hook_request, cds_service.errors; sys.exit('flask' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0
