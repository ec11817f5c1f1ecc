"""How much of a FHIR server's answers one request takes in. A server may be broken or hostile; its EHR is not ours."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Iterator
from typing import Literal

from cds_service.errors import CouldNotRetrieve

MAX_ANSWER = 8 * 1024 * 1024
"""Bytes of one answer, unpacked: a page of 200 large records has about one million."""
MAX_BYTES = 16 * 1024 * 1024
"""Bytes of all answers together, as sent and as unpacked: ten look-ups run side by side, and their bombs add up."""
MAX_VALUES = 250_000
"""Values in the JSON of one answer. Each costs up to 100 bytes of memory, however few it takes to write; records
have about 25,000 in a million bytes."""
MAX_RECORDS = 4_000
"""Records of all answers together: judging as many takes up to a second, when all of them matter."""
MAX_CALLS = 300
"""Requests sent, second tries and pages among them: ten searches of many pages, and what fifty orders refer to."""

Kind = Literal["bytes", "records", "calls"]
"""What is counted over all answers of a request."""

GZIP = frozenset({"gzip", "x-gzip"})

TOO_LARGE = "the FHIR server's answer is too large to be read"
TOO_MUCH = "the FHIR server's answers are together more than is read for one request"

_STEP = 64 * 1024
"""Bytes that are unpacked at a time."""


class Allowance:
    """What one request may still take in, by all its threads together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[Kind, int] = {"bytes": MAX_BYTES, "records": MAX_RECORDS, "calls": MAX_CALLS}

    def take(self, kind: Kind, count: int = 1) -> None:
        """Take in as much. Raises CouldNotRetrieve when that is more than is left."""
        with self._lock:
            self._left[kind] -= count
            spent = self._left[kind] < 0
        if spent:
            raise CouldNotRetrieve(TOO_MUCH)


def whole(parts: Iterable[bytes], encoding: str, allowance: Allowance) -> bytes:
    """Return an answer's body from the parts in which it comes, unpacked as its Content-Encoding says.

    Raises CouldNotRetrieve when it is too large or in an encoding that was not asked for, ValueError when it is broken.
    """
    encoding = encoding.strip().lower()
    if encoding not in GZIP | {"", "identity"}:
        raise CouldNotRetrieve("the FHIR server's answer is packed in a way that was not asked for")
    body = bytearray()
    for part in _unpacked(parts, allowance) if encoding in GZIP else parts:
        allowance.take("bytes", len(part))
        body += part
        if len(body) > MAX_ANSWER:
            raise CouldNotRetrieve(TOO_LARGE)
    if body.count(b"{") + body.count(b"[") + body.count(b",") > MAX_VALUES:
        raise CouldNotRetrieve(TOO_LARGE)
    return bytes(body)


def _unpacked(parts: Iterable[bytes], allowance: Allowance) -> Iterator[bytes]:
    """Yield what gzip parts hold, in steps: a part may be a thousand times as large as it comes."""
    unzip = _unzip()
    for part in parts:
        # What is sent counts too: gzip can go on for ever and hold nothing.
        allowance.take("bytes", len(part))
        rest = part
        while rest:
            if unzip.eof:
                unzip = _unzip()
            try:
                yield unzip.decompress(rest, _STEP)
            except zlib.error:
                raise ValueError("broken gzip") from None
            rest = unzip.unconsumed_tail or unzip.unused_data
    yield unzip.flush()
    if not unzip.eof:
        raise ValueError("gzip that ends too soon")


def _unzip() -> zlib._Decompress:
    return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
