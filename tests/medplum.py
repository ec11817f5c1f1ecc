"""An independent FHIR server on loopback: Medplum's router and memory repository, in a process of Node.js."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests import npm
from tests.waiting import PATIENCE

FOLDER = Path(__file__).parent / "fhir_server"


class Medplum:
    """The running server. A tenant is a store of its own, empty until something is put into it."""

    def __init__(self, port: int) -> None:
        self._root = f"http://127.0.0.1:{port}"
        self._session = requests.Session()

    def base(self, tenant: str) -> str:
        """Return the FHIR base URL of a tenant."""
        return f"{self._root}/{tenant}/fhir"

    def holds(self, tenant: str, resources: Sequence[Mapping[str, Any]]) -> str:
        """Store resources under their own ids; return the tenant's base URL."""
        for resource in resources:
            url = f"{self.base(tenant)}/{resource['resourceType']}/{resource['id']}"
            assert self._session.put(url, json=resource, timeout=PATIENCE).status_code == 200, url
        return self.base(tenant)

    def gives(self, tenant: str, query: str) -> dict[str, Any]:
        """Return the answer to a search or read."""
        answer = self._session.get(f"{self.base(tenant)}/{query}", timeout=PATIENCE)
        assert answer.status_code == 200, query
        body: dict[str, Any] = answer.json()
        return body

    def close(self) -> None:
        self._session.close()


@contextmanager
def running() -> Iterator[Medplum]:
    """Run the server until the block ends."""
    npm.install(FOLDER)
    with subprocess.Popen(
        ["node", "server.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = process.stdout.readline()
        assert port, "the FHIR server did not start; its reason stands above"
        medplum = Medplum(int(port))
        try:
            yield medplum
        finally:
            medplum.close()
            process.stdin.close()


def issues(resources: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return for each resource what Medplum's validator finds wrong with it."""
    npm.install(FOLDER)
    done = subprocess.run(
        ["node", "validate.mjs"],
        cwd=FOLDER,
        input=json.dumps(list(resources)),
        capture_output=True,
        text=True,
        timeout=npm.INSTALLS_WITHIN,
        check=True,
    )
    found: list[list[str]] = json.loads(done.stdout)
    return found
