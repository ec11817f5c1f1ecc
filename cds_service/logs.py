"""The log: one JSON object a line on stderr (plain lines on a terminal), with nothing about a patient in it.

What is logged is chosen, never passed on: our own words, ids of policies, counts, the class of an exception and the
places in our code that it came through. Its message, URLs, headers and what libraries say could hold patient data
or a token, so of a library only its name and the place are logged.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import warnings
from contextvars import ContextVar
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

import orjson
import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

LEVEL_OF = logging.getLogger("cds_service")
"""Its level is that of our log, so that whoever embeds the service sets it in the usual way."""
SILENT = ("urllib3", "requests", "werkzeug")
"""Libraries that log paths with query strings, or whole requests, and have nothing else to say."""
DEPTH = 12
"""Places of a stack that are named, the innermost ones."""

_OURS = ("cds_service", "fhir_mappings")
_FIRST = ("time", "level", "event", "request")
_LIFE = frozenset(
    {
        "Starting gunicorn %s",
        "Listening at: %s (%s)",
        "Booting worker with pid: %s",
        "Worker exiting (pid: %s)",
        "WORKER TIMEOUT (pid:%s)",
        "Worker (pid:%s) exited with code %s.",
        "Worker (pid:%s) was sent %s!",
        "Handling signal: %s",
        "Shutting down: %s",
        "Connection in use: %s",
    }
)
"""What gunicorn says of its own life; anything else of it may repeat what a client sent."""

_facts: ContextVar[dict[str, object] | None] = ContextVar("facts", default=None)


class _Stderr:
    """Writes each line at once and whole, wherever stderr is just now; a log that cannot be written fails nobody."""

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = msg


def begin(request: str, trace: str | None = None) -> None:
    """Start a request of this thread: every line until the next one carries its id and trace id."""
    structlog.contextvars.clear_contextvars()
    identify(request=request, **({"trace": trace} if trace else {}))
    _facts.set({})


def identify(**names: str) -> None:
    """Add what identifies the request to its lines."""
    structlog.contextvars.bind_contextvars(**names)


def note(**facts: object) -> None:
    """Remember facts for the line of the request that this thread is answering, if it is: our words and counts only."""
    held = _facts.get()
    if held is not None:
        held.update(facts)


def noted() -> dict[str, object]:
    """Return what was noted for the request of this thread; it is forgotten with that."""
    held = _facts.get() or {}
    _facts.set(None)
    return held


def configure(level: str) -> None:
    """Log from a level on, and let no library write a log of its own. May be called again."""
    LEVEL_OF.setLevel(level)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    root = logging.getLogger()
    if not any(isinstance(handler, Libraries) for handler in root.handlers):
        root.addHandler(Libraries(logging.INFO))


def own_process() -> None:
    """Log, in place of Python's own words on stderr, warnings and exceptions that end a thread of this process."""
    warnings.showwarning = _show_warning
    threading.excepthook = _thread_failed


class Libraries(logging.Handler):
    """Logs that a library had something to say: which one, how grave, where; not what."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record of Python's logging."""
        if record.levelno < logging.WARNING and record.msg not in _LIFE:
            return
        told: dict[str, object] = {"library": record.name, "place": f"{record.module}:{record.lineno}"}
        if record.name == "gunicorn.error" and record.msg in _LIFE:
            told = {"library": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            told["exc_info"] = record.exc_info[1]
        log.log(min(record.levelno // 10 * 10, logging.CRITICAL), "library", **told)


def stack(error: BaseException) -> list[str]:
    """Return the places in our own code that an exception came through, as ``module:line``, innermost last."""
    places = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.split(".")[0] in _OURS:
            places.append(f"{module}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places[-DEPTH:]


def _enough(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if not LEVEL_OF.isEnabledFor(logging.getLevelNamesMapping()[method.upper()]):
        raise structlog.DropEvent
    return event


def _without_its_message(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    error = event.pop("exc_info", None)
    if isinstance(error, BaseException):
        event["raised"], event["at"] = type(error).__name__, stack(error)
    return event


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {**{name: event[name] for name in _FIRST if name in event}, **event}


def _written(logger: WrappedLogger, method: str, event: EventDict) -> str:
    if _on_a_terminal():
        event["timestamp"] = event.pop("time")
        return str(_for_people(logger, method, event))
    return orjson.dumps(event, default=lambda value: type(value).__name__).decode()


def _on_a_terminal() -> bool:
    return _is_terminal(sys.stderr)


@lru_cache(maxsize=1)
def _is_terminal(stream: TextIO | None) -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # it may be closed, or absent
        return stream.isatty()  # type: ignore[union-attr]
    return False


_for_people = structlog.dev.ConsoleRenderer(pad_event_to=0)


def _show_warning(
    message: Warning | str,  # noqa: ARG001 - a model's warning quotes the value that it warns of
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - the signature of warnings.showwarning
    line: str | None = None,  # noqa: ARG001 - as above
) -> None:
    place = f"{filename.rpartition('/')[2].removesuffix('.py')}:{lineno}"
    log.warning("library", warning=category.__name__, place=place)


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    log.error("thread failed", exc_info=failed.exc_value or failed.exc_type())


log: FilteringBoundLogger = structlog.wrap_logger(
    _Stderr(),
    processors=[
        _enough,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _without_its_message,
        _in_order,
        _written,
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    context_class=dict,
    cache_logger_on_first_use=True,
)
"""The log of this service. ``exc_info=error`` logs an exception's class and places, without its message."""
