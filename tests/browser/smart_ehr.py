"""An EHR that launches SMART apps: an authorization server that insists on PKCE, and a FHIR server with one patient."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT_ID = "coverage-form"


@dataclass
class SmartEhr:
    """What one EHR knows and was told."""

    patient: str = "p1"
    app_context: Any = None
    """What the card that is launched says; goes into the token response as CDS Hooks has it."""
    takes_answers: bool = True
    reads_patients: bool = True
    """Whether it can read patients now; else it answers 500."""
    saved: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    base: str = ""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def get(self, path: str, query: dict[str, str], authorization: str) -> tuple[int, dict[str, Any] | str]:
        if path == "/fhir/.well-known/smart-configuration":
            urls = {name: f"{self.base}/{name}" for name in ("authorize", "token")}
            return 200, {
                "authorization_endpoint": urls["authorize"],
                "token_endpoint": urls["token"],
                "capabilities": ["launch-ehr", "client-public", "context-ehr-patient"],
                "code_challenge_methods_supported": ["S256"],
            }
        if path == "/authorize":
            return self._authorize(query)
        if path.startswith("/fhir/Patient/") and not self.reads_patients:
            return 500, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
        if path == f"/fhir/Patient/{self.patient}" and authorization == f"Bearer {self.token}":
            return 200, {"resourceType": "Patient", "id": self.patient}
        return 404, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}

    def post(self, path: str, body: bytes, authorization: str) -> tuple[int, dict[str, Any] | str]:
        if path == "/token":
            return self._token({name: values[0] for name, values in parse_qs(body.decode()).items()})
        if path == "/fhir/QuestionnaireResponse" and authorization == f"Bearer {self.token}" and self.takes_answers:
            made = {**json.loads(body), "id": f"saved-{len(self.saved) + 1}"}
            self.saved.append(made)
            return 201, made
        return 403, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}

    def _authorize(self, query: dict[str, str]) -> tuple[int, dict[str, Any] | str]:
        needed = {"response_type": "code", "client_id": CLIENT_ID, "aud": f"{self.base}/fhir", "launch": "launch-1"}
        wrong = [name for name, value in needed.items() if query.get(name) != value]
        if wrong or query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
            self.refused.append(f"authorize {wrong}")
            return 400, {"error": "invalid_request"}
        code = secrets.token_urlsafe(8)
        self._codes[code] = query
        return 302, f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, Any] | str]:
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            self.refused.append("token")
            return 400, {"error": "invalid_grant"}
        return 200, {
            "access_token": self.token,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": asked["scope"],
            "patient": self.patient,
            **({"appContext": self.app_context} if self.app_context else {}),
        }

    @contextmanager
    def running(self) -> Iterator[SmartEhr]:
        """Serve on loopback until the block ends."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.base = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(ehr: SmartEhr) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            ehr.paths.append(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self._answer(*ehr.get(parts.path, query, self.headers.get("Authorization", "")))

        def do_POST(self) -> None:
            ehr.paths.append(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self._answer(*ehr.post(self.path, body, self.headers.get("Authorization", "")))

        def do_OPTIONS(self) -> None:
            self._answer(200, {})

        def _answer(self, status: int, body: dict[str, Any] | str) -> None:
            data = json.dumps(body).encode() if isinstance(body, dict) else b""
            self.send_response(status)
            if isinstance(body, str):
                self.send_header("Location", body)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Access-Control-Allow-Headers", "authorization, content-type, accept, prefer")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
