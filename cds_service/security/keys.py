"""The public keys that clients sign with: from a JWKS file or one https URL for each issuer, never from a token.

A file is read again when it changes. A URL is asked when a key is missing, and once an hour, at most once in 30 s by
all workers together; while it does not answer, the keys that any of them knows go on counting.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from cds_service import strict_json
from cds_service.deadline import Clock, Deadline
from cds_service.errors import CouldNotRetrieve, NotJson
from cds_service.fhir_connections import Connections
from cds_service.logs import log
from cds_service.security import outbound
from cds_service.security.key_shelf import Shelf

MAX_BYTES = 256 * 1024
"""Bytes of a set of keys: hundreds of them."""
MAX_KEYS = 100
"""Keys of one issuer; more are not a client's."""
FETCH_SECONDS = 2.0
"""Seconds that a URL has for its answer; a request that waits for it waits no longer."""
PAUSE = 30.0
"""Seconds from one fetch of a URL to the next, whatever became of it."""
FRESH = 3600.0
"""Seconds after which a URL is asked again, so that a key that its owner withdrew does not count for ever."""
LEAST_RSA_BITS = 2048
_LEAST_RSA_CHARACTERS = 342
"""Characters of base64url that so many bits take."""

FAMILIES = {"RS256": "RSA", "RS384": "RSA", "ES256": "P-256", "ES384": "P-384"}
"""The permitted algorithms, each with the keys that it needs."""

Place = tuple[str, str]
"""A key's id and family; the same id may name an RSA and an EC key (RFC 7517, 4.5)."""
Fetch = Callable[[str], bytes]
"""Returns the body of a URL. Raises CouldNotRetrieve."""


class UnusableKeys(Exception):  # noqa: N818 - named for what was read
    """A text that holds no usable key; the message says why."""


class Key(NamedTuple):
    """A public key; with ``alg``, the only algorithm that it is for."""

    key: RSAKey | ECKey
    alg: str | None = None


Keys = Mapping[Place, Key]


class KeySource(Protocol):
    """Where the keys of one issuer come from."""

    def find(self, kid: str, family: str) -> Key | None:
        """Return a key, or None when the issuer has none of this id and family."""

    def is_ready(self) -> bool:
        """Whether there is any key; asks for some where that takes time."""


def read_keys(data: bytes) -> Keys:
    """Return the usable public keys of a JWK Set, or of a list of ``{pem, id}`` as Da Vinci's request generator gives.

    Keys for encryption, of other kinds, weak ones and ones without an id are passed over. Raises UnusableKeys.
    """
    if len(data) > MAX_BYTES:
        raise UnusableKeys(f"it is larger than {MAX_BYTES} bytes")
    try:
        value = strict_json.read(data, "set of keys")
    except NotJson as error:
        raise UnusableKeys(error.message) from None
    listed = value.get("keys") if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise UnusableKeys('it is neither a JWK Set ({"keys": [...]}) nor a list of {"pem", "id"}')
    found: dict[Place, Key] = {}
    for entry in listed[:MAX_KEYS]:
        read = _read(entry) if isinstance(entry, dict) else None
        if read is not None:
            found.setdefault(*read)
    if not found:
        raise UnusableKeys(
            f"it holds no usable key: an id (kid), for signing, RSA of {LEAST_RSA_BITS} bits or more, P-256 or P-384"
        )
    return found


def _read(entry: Mapping[str, Any]) -> tuple[Place, Key] | None:
    kid = entry.get("id" if "pem" in entry else "kid")
    operations = entry.get("key_ops", ["verify"])
    meant = entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    alg = entry.get("alg")
    if not isinstance(kid, str) or not kid or not meant or not (alg is None or isinstance(alg, str)):
        return None
    key = _pem(entry["pem"]) if "pem" in entry else _jwk(entry)
    family = _family(key)
    return ((kid, family), Key(key, alg)) if key is not None and family else None


def _jwk(entry: Mapping[str, Any]) -> RSAKey | ECKey | None:
    # only the public members: what is read can neither sign nor restrict itself in ways of its own
    names = ("kty", "n", "e", "crv", "x", "y")
    public: dict[str, Any] = {name: v for name in names if isinstance(v := entry.get(name), str)}
    if public.get("kty") == "RSA":
        # a weak one is not even made: joserfc would warn of it
        return _imported(RSAKey, public) if len(public.get("n", "")) >= _LEAST_RSA_CHARACTERS else None
    return _imported(ECKey, public) if public.get("kty") == "EC" else None


def _pem(text: object) -> RSAKey | ECKey | None:
    try:
        key = load_pem_public_key(text.encode()) if isinstance(text, str) else None
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, RSAPublicKey):
        return RSAKey.import_key(key) if key.key_size >= LEAST_RSA_BITS else None
    return ECKey.import_key(key) if isinstance(key, EllipticCurvePublicKey) else None


def _imported(kind: type[RSAKey] | type[ECKey], value: dict[str, str | list[str]]) -> RSAKey | ECKey | None:
    try:
        key = kind.import_key(value)
        key.public_key  # noqa: B018 - numbers that are no key are found out here
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return key


def _family(key: RSAKey | ECKey | None) -> str | None:
    if isinstance(key, RSAKey):
        return "RSA" if key.public_key.key_size >= LEAST_RSA_BITS else None
    name = key.curve_name if key else None
    return name if name in {"P-256", "P-384"} else None


class FileKeys:
    """Keys of a file, read again when it has changed; while it is not right, what was read last counts."""

    def __init__(self, path: Path, issuer: str) -> None:
        self._path, self._issuer = path, issuer
        self._stamp: object = None
        self._keys: Keys = {}

    def find(self, kid: str, family: str) -> Key | None:
        """Return a key, from the file as it is now."""
        self._refresh()
        return self._keys.get((kid, family))

    def is_ready(self) -> bool:
        """Whether the file has keys."""
        self._refresh()
        return bool(self._keys)

    def _refresh(self) -> None:
        try:
            stat = self._path.stat()
            stamp: object = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError as error:
            stamp = type(error)
        if stamp == self._stamp:
            return
        try:
            self._keys = read_keys(self._path.read_bytes())
        except (OSError, UnusableKeys) as error:
            log.warning("keys not read", issuer=self._issuer, reason=_why(error))
        self._stamp = stamp


class UrlKeys:
    """Keys of a URL, fetched by one thread of one worker at a time while others go on with the keys that are known.

    Made before the workers are forked: what one of them fetches is on the shelf for all.
    """

    def __init__(
        self,
        url: str,
        issuer: str,
        fetch: Fetch,
        clock: Clock = time.monotonic,
        start: Callable[[Callable[[], None]], None] | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self._url, self._issuer, self._fetch, self._clock = url, issuer, fetch, clock
        self._start = start or _in_a_thread
        self._shelf = shelf or Shelf()
        self._lock = threading.Lock()
        self._changing = threading.Lock()  # nobody sees that keys were fetched before they are there
        self._keys: Keys = {}
        self._asked = float("-inf")
        self._fetched = float("-inf")
        self._done = threading.Event()
        self._done.set()

    def find(self, kid: str, family: str) -> Key | None:
        """Return a key that is known to any worker at once; wait a little for one that is not."""
        place = (kid, family)
        known = self._keys.get(place) or self._caught_up().get(place)
        if known is None:
            self._refresh().wait(FETCH_SECONDS)
            return self._keys.get(place)
        if self._is_old():
            self._caught_up()
            if self._is_old():
                self._refresh()
        return known

    def is_ready(self) -> bool:
        """Whether keys have been fetched; the first to ask has it begun."""
        if not (self._keys or self._caught_up()):
            self._refresh()
        return bool(self._keys)

    def _is_old(self) -> bool:
        return self._clock() - self._fetched > FRESH

    def _caught_up(self) -> Keys:
        """Return the keys, with what other workers have fetched meanwhile."""
        with self._changing:
            newer = self._shelf.newer_than(self._fetched)
            if newer:
                self._fetched, data = newer
                self._keys = read_keys(data)
            return self._keys

    def _refresh(self) -> threading.Event:
        """Begin a fetch, unless one is under way or was too recently; return what is set when none is under way."""
        with self._lock:
            if not self._done.is_set() or self._clock() - self._asked < PAUSE:
                return self._done
            self._done = done = threading.Event()
        self._start(lambda: self._look(done))
        return done

    def _look(self, done: threading.Event) -> None:
        """Take what another worker has fetched, or fetch."""
        try:
            with self._shelf.alone():
                self._caught_up()
                self._asked = self._shelf.asked()
                if self._clock() - self._asked >= PAUSE:
                    self._ask()
        finally:
            done.set()

    def _ask(self) -> None:
        self._asked = self._clock()
        self._shelf.note_asked(self._asked)  # before it answers: a worker that ends meanwhile has asked, too
        try:
            data = self._fetch(self._url)
            keys = read_keys(data)
        except (CouldNotRetrieve, UnusableKeys) as error:
            log.warning("keys not read", issuer=self._issuer, reason=_why(error))
            return
        with self._changing:
            self._keys, self._fetched = keys, self._clock()
        with contextlib.suppress(OSError):  # without room for them every worker fetches its own
            self._shelf.keep(self._fetched, data)


def fetching(connections: Connections) -> Fetch:
    """Return a fetch over the service's own connections: no redirect, no second try, until a deadline."""

    def fetch(url: str) -> bytes:
        server = outbound.permitted(url, (url,))
        return connections.visit(server, None, Deadline.after(FETCH_SECONDS)).get_once(url)

    return fetch


def _in_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True, name="keys").start()


def _why(error: Exception) -> str:
    return type(error).__name__ if isinstance(error, OSError) else str(error)
