"""A client of the service: its clients file, and tokens as the CDS Hooks Sandbox signs them (ES384), each for once."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import uuid4

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey

from benchmarks.servers import PATH

ISSUER = "https://ehr.example.org"
AUDIENCE = f"http://127.0.0.1{PATH}"
_CLIENTS = """\
clients:
  - name: Benchmark
    issuer: {}
    keys: keys.json
"""


class Signer:
    """The key of a client, and the files by which the service knows it."""

    def __init__(self, folder: str) -> None:
        self._key = ECKey.generate_key("P-384", {"kid": "benchmark", "use": "sig", "alg": "ES384"})
        keys = {"keys": [self._key.as_dict(private=False)]}
        Path(folder, "keys.json").write_bytes(orjson.dumps(keys))
        self.clients = Path(folder, "clients.yaml")
        self.clients.write_text(_CLIENTS.format(ISSUER), encoding="utf-8")

    def headers(self) -> dict[str, str]:
        """Return the header of one request: a token that counts for five minutes, once."""
        now = int(time.time())
        header = {"alg": "ES384", "kid": "benchmark", "typ": "JWT"}
        claims = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 300, "jti": str(uuid4())}
        return {"Authorization": f"Bearer {jwt.encode(header, claims, self._key, algorithms=['ES384'])}"}
