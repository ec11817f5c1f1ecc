"""What is stored whole or not at all; free of what makes it, so that the process that stores needs none of that."""

from __future__ import annotations

import base64
from typing import NamedTuple

import orjson

from cds_service.store.keys import Key


class Entry(NamedTuple):
    """Something to be stored, whole or not at all; storing it again changes nothing."""

    kind: str
    """``decision`` or ``feedback``."""
    id: str
    record: str
    """Canonical JSON."""
    sealed: tuple[bytes, ...] = ()
    """For each card of a decision, the card and its facts, encrypted."""

    def line(self, key: Key) -> bytes:
        """Return the entry as a signed line of a journal."""
        sealed = [base64.b64encode(part).decode() for part in self.sealed]
        fields = {"kind": self.kind, "id": self.id, "record": self.record, "sealed": sealed, "key": key.id}
        return orjson.dumps({**fields, "mac": key.sign("journal", self.kind, self.id, self.record, *sealed)}) + b"\n"
