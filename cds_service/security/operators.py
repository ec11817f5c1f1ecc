"""Passes for operators: what only somebody who can read the service's keys can make, for a short time.

A code is shown on the service's own machine and typed into a browser once; for it the browser gets a session.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import Literal, NamedTuple

from cds_service.store.keys import Key, Keys

CODE_LIFE = 300
"""Seconds in which a code can be typed in."""
SESSION_LIFE = 8 * 3600
"""Seconds after which an operator needs a new code: a working day."""
ISSUER = "urn:coverage-cds:operator"
"""Under which used codes are remembered, beside the tokens of clients."""

Purpose = Literal["code", "session"]

_MAC = 32
"""Hex digits of a signature: 128 bits, and a code fits on a line of a terminal."""
_PASS = re.compile(rf"([0-9a-f]{{8}})\.([0-9]{{1,12}})\.([A-Za-z0-9_-]{{16}})\.([0-9a-f]{{{_MAC}}})")


class Pass(NamedTuple):
    """A pass that counts: what tells it from every other one, and until when it does (seconds of the epoch)."""

    nonce: str
    until: int


def issue(key: Key, purpose: Purpose, until: int) -> str:
    """Return a new pass, good until a second of the epoch."""
    nonce = secrets.token_urlsafe(12)
    return f"{key.id}.{until}.{nonce}.{_signature(key, purpose, until, nonce)}"


def valid(keys: Keys, purpose: Purpose, text: str, now: float) -> Pass | None:
    """Return the pass in a text; None when it is none, for something else, of an unknown key, or over."""
    match = _PASS.fullmatch(text)
    key = keys.by_id(match[1]) if match else None
    if match is None or key is None:
        return None
    found = Pass(match[3], int(match[2]))
    good = hmac.compare_digest(match[4], _signature(key, purpose, found.until, found.nonce))
    return found if good and now < found.until else None


def _signature(key: Key, purpose: str, until: int, nonce: str) -> str:
    return key.sign("operator", purpose, until, nonce)[:_MAC]
