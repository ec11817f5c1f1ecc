"""The pages in a real Chromium, served by a real service: fixtures.

``page`` is for most tests: it fails the test on any error of the console, script, Content-Security-Policy or request,
and on any request to elsewhere. A test that brings an error about says so with ``watch.expect``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.watching import Watch
from tests.serving import project_folder, serving
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
DESKTOP = (1280, 900)
PHONE = (360, 740)
STEP_WITHIN = 1000 * PATIENCE
"""Milliseconds that one step of a page may take on a slow machine; only a broken page takes so long."""

expect.set_options(timeout=STEP_WITHIN)


# Of this package, not of the session: Playwright keeps an event loop running as long as it lives, and that is nothing
# that other tests should find.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    assert executable, "these tests need Chromium: see README.md, Start"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"], timeout=STEP_WITHIN)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of ``coverage-cds serve`` as anybody gets it, with a data folder of its own."""
    with serving(project_folder(tmp_path_factory.mktemp("service"))) as (url, _):
        yield url


@pytest.fixture
def viewport() -> tuple[int, int]:
    """Width and height in CSS pixels; a test that needs others parametrizes this."""
    return DESKTOP


@pytest.fixture
def scheme() -> str:
    """What the user prefers, ``light`` or ``dark``; a test that needs dark parametrizes this."""
    return "light"


@pytest.fixture
def origin(service: str) -> str:
    """The only origin that the page may speak to; a test with a service of its own overrides this."""
    return service


@pytest.fixture
def watch(chromium: Browser, origin: str, viewport: tuple[int, int], scheme: str) -> Iterator[Watch]:
    width, height = viewport
    context = chromium.new_context(
        base_url=origin,
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        permissions=["clipboard-read", "clipboard-write"],
        reduced_motion="reduce",
        locale="en-US",
    )
    context.set_default_timeout(STEP_WITHIN)
    watch = Watch(context.new_page(), origin)
    yield watch
    verdict = watch.verdict(PATIENCE)
    context.close()
    assert verdict == []


@pytest.fixture
def page(watch: Watch) -> Page:
    return watch.page
