"""The keys of the store: patients become pseudonyms, records are signed, cards and facts encrypted.

Each purpose has a key of its own, derived from one secret (HKDF-SHA256, RFC 5869). Of several secrets the first is
used; the others still verify and decrypt what was written under them.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cds_service.errors import SettingsError
from cds_service.logs import log
from cds_service.settings import PREFIX, Settings
from cds_service.store.folders import make_folder

FILE = "record.key"
SHORTEST = 32
"""Characters of a secret."""
_NONCE = 12
_ID = 8


class Key:
    """One secret, in use for every purpose."""

    def __init__(self, secret: str) -> None:
        self._pseudonym, self._chain, encryption = (_derived(secret, p) for p in ("pseudonym", "chain", "encryption"))
        self._cipher = AESGCM(encryption)
        self.id = hashlib.sha256(_derived(secret, "id")).hexdigest()[:_ID]
        """Names the secret without revealing it."""

    def pseudonym(self, client: str | None, patient: str) -> str:
        """Return what stands for a patient of a client: the same for the same, in hex."""
        return _hmac(self._pseudonym, client or "", patient)

    def sign(self, *parts: str | int) -> str:
        """Return the HMAC-SHA256 of parts in their order, in hex."""
        return _hmac(self._chain, *parts)

    def seal(self, plain: bytes, about: str) -> bytes:
        """Encrypt (AES-256-GCM) what can then be opened only as being ``about`` the same thing."""
        nonce = os.urandom(_NONCE)
        return self.id.encode() + nonce + self._cipher.encrypt(nonce, plain, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes | None:
        """Return what was sealed, None when it was changed or is about something else."""
        nonce, secret = sealed[_ID : _ID + _NONCE], sealed[_ID + _NONCE :]
        try:
            return self._cipher.decrypt(nonce, secret, about.encode())
        except (InvalidTag, ValueError):
            return None


class Keys:
    """The key in use, ``current``, and those of the past."""

    def __init__(self, found: Sequence[str]) -> None:
        keys = [Key(secret) for secret in found]
        self.current = keys[0]
        self._by_id = {key.id: key for key in reversed(keys)}

    def by_id(self, key_id: str) -> Key | None:
        """Return the key of an id, None when its secret is not among those configured."""
        return self._by_id.get(key_id)

    def every(self) -> tuple[Key, ...]:
        """Return every key, the one in use first."""
        return tuple(dict.fromkeys([self.current, *self._by_id.values()]))

    def open(self, sealed: bytes, about: str) -> bytes | None:
        """Return what was sealed under any of the keys, else None."""
        key = self.by_id(sealed[:_ID].decode("ascii", "replace"))
        return key.open(sealed, about) if key else None


def load_keys(settings: Settings) -> Keys:
    """Return the keys of the settings, or of the key file, which is made when it is not there.

    Raises SettingsError for a secret that is too short, OSError when the file cannot be read or made.
    """
    if settings.record_keys is None:
        return Keys([_from_file(settings.data_dir / FILE)])
    found = [part.strip() for part in settings.record_keys.get_secret_value().split(",") if part.strip()]
    if not found or min(map(len, found)) < SHORTEST:
        raise SettingsError(f"{PREFIX}RECORD_KEYS: every secret needs {SHORTEST} characters or more.")
    return Keys(found)


def _from_file(path: Path) -> str:
    make_folder(path.parent)
    if not path.exists():
        _make(path)
        log.warning("key made", file=path.name, remedy=f"set {PREFIX}RECORD_KEYS, and keep a copy apart from the data")
    secret = path.read_text(encoding="ascii").strip()
    if len(secret) < SHORTEST:
        raise SettingsError(f"{path}: the secret in it is too short; it needs {SHORTEST} characters or more.")
    return secret


def _make(path: Path) -> None:
    """Write a fresh secret beside the path and link it there, whole; another process may have been faster."""
    own = path.with_name(f"{path.name}.{uuid4()}")  # processes of two containers may have the same number
    file = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, secrets.token_urlsafe(48).encode() + b"\n")
        os.fsync(file)
        with contextlib.suppress(FileExistsError):
            os.link(own, path)
    finally:
        os.close(file)
        own.unlink()


def _derived(secret: str, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=b"coverage-cds", info=purpose.encode()).derive(secret.encode())


def _hmac(key: bytes, *parts: str | int) -> str:
    # each part with its length: no two lists of parts are the same message
    texts = [str(part).encode() for part in parts]
    return hmac.digest(key, b"".join([b"%d:%s" % (len(text), text) for text in texts]), "sha256").hex()
