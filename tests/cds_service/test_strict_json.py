import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service import strict_json
from cds_service.errors import NotJson

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_every_ordinary_text_is_read(value: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()

    assert strict_json.read(text) == value


@pytest.mark.parametrize("empty", [b"", b" \n"])
def test_an_empty_text_is_called_empty(empty: bytes) -> None:
    with pytest.raises(NotJson, match="is empty"):
        strict_json.read(empty)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1,}',
        b"{'a': 1}",
        b'{"a": 1} x',
        b'// comment\n{"a": 1}',
        rb'"\ud800"',
        rb'"\udc00\ud800"',
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_is_refused_by_place_without_its_content(text: bytes) -> None:
    with pytest.raises(NotJson, match=r"error at line \d+, column \d+"):
        strict_json.read(text)


@pytest.mark.parametrize(
    "text", [b'"\xff"', b'"\xed\xa0\x80"', '{"a": 1}'.encode("utf-16"), '{"a": 1}'.encode("utf-16-le") + b"\xd8"]
)
def test_what_is_not_utf8_is_refused_and_says_so(text: bytes) -> None:
    with pytest.raises(NotJson, match="not UTF-8"):
        strict_json.read(text)


def test_a_byte_order_mark_is_skipped() -> None:
    assert strict_json.read(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1, "a": 1}',
        b'[{"b": {"a": 1, "c": [], "a": {"a": 1}}}]',
        rb'{"a": 1, "a": "\u003a"}',
        rb'{"a": 1, "\u0061": 2, "b": "\u003A\u003a"}',
    ],
)
def test_a_name_twice_in_one_object_is_refused(text: bytes) -> None:
    with pytest.raises(NotJson, match="two members of the same name"):
        strict_json.read(text)


@pytest.mark.parametrize("text", [rb'{"a": "\u003a", "b": {"a": ":"}}', b'[{"a": 1}, {"a": 1}]'])
def test_a_name_in_two_objects_is_no_repetition(text: bytes) -> None:
    assert strict_json.read(text) == json.loads(text)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_ends_at_the_limit(opening: bytes, closing: bytes) -> None:
    def nested(levels: int) -> bytes:
        return opening * levels + b'"]}{["' + closing * levels

    strict_json.read(nested(strict_json.MAX_DEPTH))
    for levels in (strict_json.MAX_DEPTH + 1, 500):
        with pytest.raises(NotJson, match="more than 64 levels"):
            strict_json.read(nested(levels))
