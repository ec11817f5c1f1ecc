"""Text of the EHR on a card: one line in a code span, and never markup."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.cards.plain import LONGEST, code_span, evidence_json, plain
from fhir_mappings.facts import Evidence
from tests.cds_service.cards.reading import RAW_HTML, code_spans, kinds, outside_code_spans

HOSTILE = [
    "`",
    "``",
    "`` ` ``",
    "a`b``c",
    "\\`",
    "`](https://evil.example)",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- -->",
    "<?php ?>",
    "<https://evil.example>",
    "https://evil.example",
    "www.evil.example",
    "http://evil.example/path?a=b",
    "(www.evil.example)",
    "someone@evil.example",
    "mailto:someone@evil.example",
    "ftp://evil.example",
    "[text](https://evil.example)",
    "![image](https://evil.example/x.png)",
    "[text][1]\n\n[1]: https://evil.example",
    "one\ntwo",
    "one\r\n\r\n# two",
    "\n- item\n- item",
    "\n| a | b |\n|---|---|",
    "\n```\ncode",
    "\n---\n",
    "**bold** _slanted_ ~~struck~~",
    "&lt;b&gt; &#60;b&#62;",
    "\x00\x01\x1b[31m\x7f",
    "\u202eesrever\u202c \u2066isolated\u2069",
    "zero\u200bwidth\u2060\ufeff",
    "line\u2028paragraph\u2029end\x85next\x0bvertical\x0cform",
    "\ud800",
    "\U000e0041\U000e0042",
    "x" * 10_000,
    "` " * 5_000,
    "😀" * 200,
]
texts = st.one_of(
    st.text(st.characters(), max_size=400),
    st.lists(st.sampled_from([*HOSTILE, " ", "a", "zqx"]), max_size=8).map("".join),
)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text)[:40])
def test_hostile_text_stays_inside_its_code_span(text: str) -> None:
    _check(text)


@given(texts)
def test_any_text_stays_inside_its_code_span(text: str) -> None:
    _check(text)


def _check(text: str) -> None:
    span = code_span(text)
    assert span.count("`") in (0, 2)
    for markdown in (f"- before {span} after", f"**Heading**\n\n- {span}\n- {span}, {span}"):
        assert kinds(markdown) <= {"p", "ul", "li", "strong", "code"}
        assert "zqx" not in outside_code_spans(markdown)
        assert all(len(shown) <= LONGEST for shown in code_spans(markdown))
    if span:
        assert code_spans(f"- {span}") == [span[1:-1]]


@given(texts)
def test_a_plain_text_is_one_short_line_of_visible_characters(text: str) -> None:
    line = plain(text)
    assert len(line) <= LONGEST
    assert line == line.strip()
    assert {unicodedata.category(c) for c in line} <= {
        f"{major}{minor}" for major in "LMNPSZ" for minor in "acdefiklomnpstu"
    } - {"Zl", "Zp"}
    assert plain(line) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, ""),
        ("", ""),
        (" \n\t ", ""),
        ("\u202e\x00", ""),
        ("  one \n\n two\u00a0three ", "one two three"),
        ("a\u200bb", "ab"),
        ("a\x85b", "a b"),
        ("x" * 120, "x" * 120),
        ("x" * 121, "x" * 119 + "…"),
        ("x" * 118 + " yz", "x" * 118 + "…"),
        ("Größe 10 µg/mL ≥ 7 中文", "Größe 10 µg/mL ≥ 7 中文"),
    ],
)
def test_what_is_shown(text: str | None, shown: str) -> None:
    assert plain(text) == shown


def test_a_span_needs_something_to_show() -> None:
    assert code_span(None) == code_span("\n") == ""
    assert code_span("a`b") == "`a'b`"


def test_evidence_leaves_out_what_it_has_not() -> None:
    assert evidence_json(Evidence("Condition/c1")) == {"reference": "Condition/c1"}
    assert evidence_json(Evidence("Condition/c1", "\u202e", "", "2026-01")) == {
        "reference": "Condition/c1",
        "date": "2026-01",
    }
    full = evidence_json(Evidence("Observation/o1", "HbA1c", "8.4\n%", "2026-01-02"))
    assert full == {"reference": "Observation/o1", "display": "HbA1c", "value": "8.4 %", "date": "2026-01-02"}


@pytest.mark.parametrize(
    "text",
    [
        "see www.evil.example now",
        "http://evil.example",
        "(https://evil.example)",
        "someone@evil.example",
        "mailto:someone@evil.example",
        "<https://evil.example>",
        "[text](https://evil.example)",
    ],
)
def test_the_renderer_of_these_tests_makes_links_where_github_does(text: str) -> None:
    assert "a" in kinds(text)
    assert "evil.example" in outside_code_spans(text)


def test_a_bare_domain_is_no_link() -> None:
    assert kinds("see westernhealth.com") == {"p"}


@pytest.mark.parametrize("text", ["a <b>c</b>", "<div>\n", "<!-- c -->", "<?c ?>", "<!C>", "a <![CDATA[c]]>"])
def test_the_renderer_of_these_tests_sees_html(text: str) -> None:
    assert RAW_HTML in kinds(text)
