"""So many requests at the same time and no more: what is beyond is turned away at once, before its body is read."""

from __future__ import annotations

import threading

from flask import Flask, g, request

from cds_service.errors import Overloaded
from cds_service.metrics import Metrics
from cds_service.web.request_log import QUIET


def register(app: Flask, most: int, metrics: Metrics) -> None:
    """Let ``most`` requests of this process be answered at once; whether it is well may always be asked."""
    free = threading.BoundedSemaphore(most)

    @app.before_request
    def admit() -> None:
        rule = request.url_rule
        if rule is not None and rule.rule in QUIET:
            return
        if not free.acquire(blocking=False):
            metrics.shed()
            raise Overloaded("The service is answering as many requests as it can; please send this one again.")
        metrics.in_work.inc()
        g.admitted = True

    @app.teardown_request
    def leave(_: BaseException | None) -> None:
        if g.pop("admitted", False):
            metrics.in_work.dec()
            free.release()
