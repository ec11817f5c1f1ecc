"""What the browser tests rely on fails when it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.accessibility import accessible
from tests.browser.watching import Watch
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("console.error('something is wrong')", "something is wrong"),
        ("setTimeout(() => { throw new Error('thrown') }); new Promise(done => setTimeout(done, 50))", "thrown"),
        ("fetch('/cds-services/none', {method: 'POST'}).then(answer => answer.text())", "404"),
        ("fetch('http://127.0.0.1:9/').catch(() => 0)", "another origin|Content Security Policy"),
        (
            "document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))",
            "Content Security Policy",
        ),
        ("document.head.append(Object.assign(document.createElement('style'), {textContent: '*{}'}))", "inline style"),
    ],
)
def test_a_page_that_misbehaves_is_seen(watch: Watch, script: str, problem: str) -> None:
    watch.page.goto("/policies")
    watch.page.evaluate(script)

    watch.expect(problem)
    assert not [told for told in watch.verdict(PATIENCE) if told.startswith("did not come")]
    watch.expect("")  # nor is anything else that comes of it a surprise


def test_an_expected_problem_that_does_not_come_is_seen(chromium: object, page: Page, origin: str) -> None:
    other = Watch(page, origin)
    other.expect("a problem")

    assert other.verdict() == ["did not come: a problem"]


def test_a_request_to_elsewhere_is_seen(watch: Watch) -> None:
    def unguarded(route: Route) -> None:
        route.fulfill(body="<!doctype html><title>x</title>", content_type="text/html")

    watch.page.route("**/unguarded", unguarded)
    watch.page.route("http://elsewhere.example/**", unguarded)
    watch.page.goto("/unguarded")
    watch.page.evaluate("fetch('http://elsewhere.example/x', {mode: 'no-cors'}).catch(() => 0)")

    watch.expect("request to another origin: http://elsewhere.example/x")


@pytest.mark.parametrize("path", ["/", "/policies"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_accessible(page: Page, path: str) -> None:
    page.goto(path)

    accessible(page)


def test_a_page_that_is_not_accessible_is_seen(page: Page) -> None:
    page.goto("/policies")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")

    with pytest.raises(AssertionError, match="button-name"):
        accessible(page)
