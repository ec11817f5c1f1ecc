"""The shipped nginx configuration run by a real nginx, its addresses and files alone replaced."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest

from tests import certificates
from tests.serving import ROOT, free_port

CONFIGURATION = ROOT / "deploy/nginx.conf"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin")
NAME = "cds.example.org"
PUBLIC = f"https://{NAME}"
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx)")


class Https(http.client.HTTPConnection):
    """HTTP over a connection that was made before."""

    auto_open = 0

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        self.request(method, path, body, {"Host": NAME, **{n.replace("_", "-"): v for n, v in headers.items()}})
        response = self.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Proxy(NamedTuple):
    """A running nginx: its port on loopback, the authority of its certificate, and what it logged."""

    port: int
    authority: Path
    access_log: Path

    @contextmanager
    def http(self) -> Iterator[Https]:
        """Yield an HTTP client for it, over one connection."""
        client = Https(NAME, self.port, timeout=30)
        with self.connect() as client.sock:
            yield client
            client.close()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send one request over a connection of its own."""
        with self.http() as client:
            return client.ask(method, path, body, **headers)

    def connect(self, timeout: float = 30) -> ssl.SSLSocket:
        """Return a TLS connection to it, as to its public name."""
        context = ssl.create_default_context(cafile=self.authority)
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout), server_hostname=NAME)


@contextmanager
def in_front_of(service: str, folder: Path, replaced: Mapping[str, str] = MappingProxyType({})) -> Iterator[Proxy]:
    """Run the configuration in front of a service at ``host:port``; ``replaced``: further patterns and their values."""
    assert NGINX is not None
    certificates.make(folder, NAME)
    port = free_port()
    text = CONFIGURATION.read_text(encoding="utf-8").replace(" /tmp/", f" {folder}/")
    for pattern, value in {
        r"listen 8443 ssl": f"listen 127.0.0.1:{port} ssl",
        r"server coverage-cds:8000": f"server {service}",
        r"/etc/nginx/tls/tls\.crt": str(folder / certificates.CERTIFICATE),
        r"/etc/nginx/tls/tls\.key": str(folder / certificates.KEY),
        r"access_log /dev/stdout": f"access_log {folder}/access.log",
        **replaced,
    }.items():
        text, count = re.subn(pattern, value, text)
        assert count, f"{pattern} is not in {CONFIGURATION.name}"
    if os.geteuid() == 0:
        text = f"user root;\n{text}"  # the tests' folder is for this user only
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    command = [NGINX, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "error.log").open("w") as log:
        process = subprocess.Popen([*command, "-g", "daemon off;"], stderr=log, stdout=subprocess.DEVNULL)
    proxy = Proxy(port, folder / certificates.AUTHORITY, folder / "access.log")
    try:
        _wait_for(proxy, process, folder)
        yield proxy
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(proxy: Proxy, process: subprocess.Popen[bytes], folder: Path) -> None:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        assert process.poll() is None, (folder / "error.log").read_text()
        try:
            proxy.connect().close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("nginx did not answer within 30 s")
