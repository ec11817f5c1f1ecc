"""``coverage-cds serve``: the application under gunicorn, loaded once and shared by its workers."""

from __future__ import annotations

import gc
import os
import secrets
import signal
import threading
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from cds_service import allocator, create_app, logs
from cds_service.draining import Draining
from cds_service.http_worker import Worker
from cds_service.logs import log
from cds_service.processor import Processor, can_be_kept
from cds_service.settings import Settings
from cds_service.store.storing_process import StoringProcess
from cds_service.worker_counts import WorkerCounts

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SPARE_THREADS = 8
"""Threads beyond those that answer requests: they turn away what is too much, and say whether the worker is well."""
KEEP_ALIVE = 75
"""Seconds for which an idle connection is kept: longer than proxies do, so that none sends into one being closed."""
GRACE = 30
"""Seconds for which a worker that is told to stop may go on answering what it has begun."""
COLLECTED_AFTER = (10_000, 20, 20)
"""Objects made before the collector looks for cycles, and how often the older ones are looked through with them."""
HEADER_BYTES = 32 * 1024
"""Bytes of one header: enough for a token that is too long to be answered like any other bad one."""


class Server(BaseApplication):
    """The application and gunicorn's options for it. It is loaded before forking: a bad policy stops the start."""

    def __init__(self, settings: Settings, host: str, port: int, workers: int) -> None:
        logs.own_process()
        allocator.share_one_arena()
        self.storing = StoringProcess(settings)
        self.storing.start()
        self._counts = WorkerCounts()
        try:
            self._app = create_app(settings, shared_counts=self._counts.folder, storage=self.storing)
            self._app.extensions["recorder"].prepare()
        except BaseException:
            self.end()
            raise
        self._drain_delay, self.at_once = settings.drain_delay, settings.max_at_once
        # another server on this machine is to begin elsewhere
        self._first_processor = secrets.randbelow(os.cpu_count() or 1)
        self._pins = settings.pin_workers and can_be_kept()
        self._options: dict[str, Any] = {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "workers": workers,
            "worker_class": Worker,
            "threads": settings.max_at_once + SPARE_THREADS,
            "preload_app": True,
            "graceful_timeout": GRACE,
            "keepalive": KEEP_ALIVE,
            "limit_request_field_size": HEADER_BYTES,
            # the service knows its URL from its settings; what a request claims about its way here is not believed
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "logger_class": OurLog,
            "loglevel": settings.log_level.lower(),
            "pre_fork": self._before_fork,
            "post_fork": self._after_fork,
            "worker_exit": self._worker_ends,
            "child_exit": self._worker_ended,
            "on_exit": lambda _parent: self.end(),
            "control_socket_disable": True,
        }
        super().__init__()

    def run(self) -> None:
        """Serve until told to stop."""
        Parent(self, self._drain_delay).run()

    def load_config(self) -> None:
        """Give gunicorn its options: nothing is read from its files or environment."""
        for name, value in self._options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> WSGIApplication:  # type: ignore[override]  # the stubs want ASGI too
        """Return the application for a worker."""
        return self._app

    @property
    def draining(self) -> Draining:
        """What tells every worker that it is to say that it is not ready."""
        flag: Draining = self._app.extensions["draining"]
        return flag

    def _before_fork(self, _parent: object, worker: Any) -> None:
        worker.place = self._counts.take_place()
        # what is loaded at start lives for ever: without this the collector walks it again and again in every worker
        gc.collect()
        gc.freeze()
        # nor is it worth looking through the thousands of objects of one large request while it is answered
        gc.set_threshold(*COLLECTED_AFTER)

    def _after_fork(self, _parent: object, worker: Any) -> None:
        if self._pins:
            worker.processor = Processor(self._first_processor + worker.place)

    def _worker_ends(self, _parent: object, _worker: object) -> None:
        self._app.extensions["recorder"].close()

    def _worker_ended(self, _parent: object, worker: Any) -> None:
        self._counts.leave_place(worker.place)

    def end(self) -> None:
        """Let go of what the workers shared, when they have ended."""
        self._counts.remove()
        self.storing.end()


class Parent(Arbiter):
    """The parent of the workers. Told to stop, it first lets load balancers know; told again, it stops at once."""

    def __init__(self, server: Server, delay: float) -> None:
        super().__init__(server)
        self._server, self._delay = server, delay
        self._draining = False

    def manage_workers(self) -> None:
        """Keep as many workers as there are to be, and the process that stores for them: once a second at least."""
        self._server.storing.look()
        super().manage_workers()

    def handle_term(self) -> None:
        """Begin to drain, and stop when that is over: SIGTERM."""
        if self._draining or not self._delay:
            super().handle_term()
        self._draining = True
        self._server.draining.begin()
        log.info("draining", seconds=self._delay)
        timer = threading.Timer(self._delay, os.kill, (os.getpid(), signal.SIGTERM))
        timer.daemon = True
        timer.start()


class OurLog(Logger):
    """What gunicorn logs goes to our log, which chooses; its access log, which is full of URLs, stays off."""

    def setup(self, cfg: Any) -> None:
        """Take gunicorn's own handlers off."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
