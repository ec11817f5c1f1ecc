"""``coverage-cds serve`` that records no decision: only to measure what recording costs. No setting does this."""

from __future__ import annotations

import sys
from unittest.mock import patch

from cds_service.cli import main
from cds_service.store import recorder


class Forgetful(recorder.Recorder):
    """Says of every decision at once that it is recorded."""

    def decision(self, *_: object, **__: object) -> None:
        """Do nothing."""


if __name__ == "__main__":
    with patch.object(recorder, "Recorder", Forgetful):
        main(["serve", *sys.argv[1:]])
