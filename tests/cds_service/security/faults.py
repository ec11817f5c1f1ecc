"""Everything that a FHIR server may do to whoever asks it, on real sockets."""

from __future__ import annotations

import functools
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler

from tests.cds_service.ehr import Behaviour, Ehr, drip, hang_up, raw, silent, status, vanish
from tests.waiting import PATIENCE

BOMB = 200 * 1024 * 1024
"""Bytes of a bomb when it is unpacked."""
_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_FHIR = b'{"resourceType": "Bundle", "type": "searchset"}'


def says(text: bytes) -> Behaviour:
    """Send some bytes as they are and hang up."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(text)
        handler.close_connection = True

    return behave


def says_and_waits(ehr: Ehr, text: bytes) -> Behaviour:
    """Send some bytes as they are and keep the connection, silently."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(text)
        handler.wfile.flush()
        ehr.released.wait(PATIENCE)

    return behave


def drips(ehr: Ehr, first: bytes, again: bytes, pause: float = 0.02) -> Behaviour:
    """Send some bytes, and then others again and again, until the caller or the test has had enough."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        try:
            handler.wfile.write(first)
            while not ehr.released.wait(pause):
                handler.wfile.write(again)
                handler.wfile.flush()
        except OSError:
            ehr.hung_up.set()

    return behave


def floods(ehr: Ehr, first: bytes, again: bytes) -> Behaviour:
    """The same as fast as it goes."""
    return drips(ehr, first, again, pause=0)


def packed(body: bytes, encoding: str) -> Behaviour:
    return raw(body, Content_Encoding=encoding)


@functools.cache
def gzip_bomb(fill: bytes = b" ") -> bytes:
    """Return a gzip text of BOMB bytes without ever holding them."""
    packer = zlib.compressobj(9, wbits=31)
    block = fill * (1024 * 1024 // len(fill))
    parts: Iterator[bytes] = (packer.compress(block) for _ in range(BOMB // len(block)))
    return b"".join(parts) + packer.flush()


def many_pages(handler: BaseHTTPRequestHandler) -> None:
    """Answer with a page of one record and a next page, each time another one."""
    number = int(handler.path.rpartition("page=")[2]) + 1 if "page=" in handler.path else 1
    page = {"link": [{"relation": "next", "url": f"{handler.path.partition('&page=')[0]}&page={number}"}]}
    raw(json.dumps({"resourceType": "Bundle", "entry": [], **page}).encode())(handler)


def full_of(entry: bytes, count: int) -> bytes:
    return b'{"resourceType": "Bundle", "entry": [' + b",".join([entry] * count) + b"]}"


SLOW: Mapping[str, Callable[[Ehr], Behaviour]] = {
    "silent": silent,
    "drip of the status line": lambda ehr: drips(ehr, b"HTTP/1.1 200 ", b"O"),
    "drip of a header": lambda ehr: drip(ehr, headers=True),
    "drip of headers": lambda ehr: drips(ehr, _OK, b"A: b\r\n", 0.1),
    "drip of interim answers": lambda ehr: drips(ehr, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "drip of a body": lambda ehr: drip(ehr),
    "drip of a body of stated length": lambda ehr: drips(ehr, _OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "drip of chunks": lambda ehr: drips(ehr, _CHUNKED, b"1\r\n \r\n"),
    "drip inside a chunk": lambda ehr: drips(ehr, _CHUNKED + b"ffff\r\n", b" "),
    "drip of a chunk's size": lambda ehr: drips(ehr, _CHUNKED, b"0"),
    "drip of a chunk's extension": lambda ehr: drips(ehr, _CHUNKED + b"5;", b"x"),
    "drip of trailers": lambda ehr: drips(ehr, _CHUNKED + b"0\r\n", b"A: b\r\n"),
    "drip of gzip": lambda ehr: drips(
        ehr, _OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff"
    ),
    "flood of interim answers": lambda ehr: floods(ehr, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "flood of trailers": lambda ehr: floods(ehr, _CHUNKED + b"0\r\n", b"A: b\r\n" * 100),
    "flood of tiny chunks": lambda ehr: floods(ehr, _CHUNKED, b"1\r\n \r\n"),
    "body shorter than its length, connection kept": lambda ehr: says_and_waits(
        ehr, _OK + b"Content-Length: 1000\r\n\r\n" + _FHIR
    ),
    "last chunk never sent": lambda ehr: says_and_waits(ehr, _CHUNKED + b"2f\r\n" + _FHIR + b"\r\n"),
}
"""Faults that only the deadline ends."""

AT_ONCE: Mapping[str, Callable[[Ehr], Behaviour]] = {
    "hangs up": lambda _: vanish,
    "hangs up in the body": lambda _: hang_up,
    "no HTTP": lambda _: says(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "HTTP/0.9": lambda _: says(_FHIR),
    "status 999": lambda _: says(b"HTTP/1.1 999 Odd\r\n\r\n"),
    "status 500": lambda _: status(500),
    "status 503": lambda _: status(503),
    "status 429": lambda _: status(429, Retry_After="60"),
    "status 401": lambda _: status(401),
    "status 204": lambda _: status(204),
    "redirect": lambda _: status(302, Location="/"),
    "flood of a header": lambda ehr: floods(ehr, _OK + b"A: ", b"b" * 10_000),
    "flood of headers": lambda ehr: floods(ehr, _OK, b"A: b\r\n" * 1000),
    "flood of a body": lambda ehr: floods(ehr, _OK + b"\r\n", b" " * 100_000),
    "flood of chunks": lambda ehr: floods(ehr, _CHUNKED, b"ffff\r\n" + b" " * 0xFFFF + b"\r\n"),
    "flood of a chunk's extension": lambda ehr: floods(ehr, _CHUNKED + b"5;", b"x" * 1000),
    "flood of gzip that holds nothing": lambda ehr: floods(
        ehr, _OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff" * 10_000
    ),
    "length that is no number": lambda _: says(_OK + b"Content-Length: many\r\n\r\n{"),
    "length below zero": lambda _: says(_OK + b"Content-Length: -5\r\n\r\n{"),
    "two lengths": lambda _: says(_OK + b"Content-Length: 5\r\nContent-Length: 47\r\n\r\n" + _FHIR),
    "length too short": lambda _: says(_OK + b"Content-Length: 10\r\n\r\n" + _FHIR),
    "length too long": lambda _: says(_OK + b"Content-Length: 1000\r\n\r\n" + _FHIR),
    "length of a terabyte": lambda _: says(_OK + b"Content-Length: 1099511627776\r\n\r\n" + _FHIR),
    "chunk below zero": lambda _: says(_CHUNKED + b"-5\r\n" + _FHIR),
    "chunk that is no number": lambda _: says(_CHUNKED + b"zz\r\n" + _FHIR),
    "chunk of a terabyte": lambda _: says(_CHUNKED + b"10000000000\r\n" + _FHIR),
    "gzip bomb": lambda _: packed(gzip_bomb(), "gzip"),
    "gzip bomb of values": lambda _: packed(gzip_bomb(b"[],"), "gzip"),
    "gzip in gzip": lambda _: packed(gzip.compress(gzip_bomb()), "gzip, gzip"),
    "brotli": lambda _: packed(_FHIR, "br"),
    "zstandard": lambda _: packed(_FHIR, "zstd"),
    "broken gzip": lambda _: packed(b"no gzip", "gzip"),
    "gzip cut short": lambda _: packed(gzip.compress(_FHIR)[:-4], "gzip"),
    "values without end": lambda _: raw(full_of(b"0", 3_000_000)),
    "records without end": lambda _: raw(full_of(b'{"resource":{"resourceType":"Condition","id":"c1"}}', 20_000)),
    "pages without end": lambda _: many_pages,
    "nesting without end": lambda _: raw(b'{"resourceType":"Bundle","entry":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "no JSON": lambda _: raw(b"<html>Log in</html>", "text/html"),
    "another type": lambda _: raw(b'{"resourceType": "Binary"}'),
}
"""Faults that end by themselves or at a limit."""
