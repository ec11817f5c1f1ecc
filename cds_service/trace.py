"""What a review tells of itself while it works, to whoever asks why; a review that nobody asks tells nobody."""

from __future__ import annotations

from typing import Literal

from cds_service.hook_request import HookRequest
from cds_service.triage import Triage

Stage = Literal["read", "triage", "chart", "facts", "routing", "evaluation", "cards", "record"]
"""The parts of a call, in order; those from ``facts`` to ``cards`` come once for each order."""


class Trace:
    """Hears of one review as it goes on. This one does nothing with it; see ``web/tracing.py`` for one that does."""

    def triaged(self, request: HookRequest, found: Triage) -> None:
        """Hear which orders of a request, with those that it only named, concern a policy."""

    def reached(self, stage: Stage) -> None:
        """Hear that a stage is done, and with it all that was done since the last one."""


NOBODY = Trace()
