"""Numbers go out as they came in, whatever JSON allows them to look like."""

from __future__ import annotations

import copy
import json
import pickle

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service import exact_json, strict_json
from fhir_mappings.json_fields import number

WRITTEN = ["1.00", "0.10", "-0.50", "1e2", "1E+2", "1.0e-3", "12345678901234567890123", "9007199254740993", "0", "-7"]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_number_is_written_as_it_was_read(text: str) -> None:
    document = f'{{"a":[{text},"{text}"]}}'.encode()

    assert exact_json.write(exact_json.read(document)) == document


@pytest.mark.parametrize("text", WRITTEN)
def test_it_compares_as_the_number_that_others_read(text: str) -> None:
    assert exact_json.read(text.encode()) == orjson.loads(text)


def test_it_is_read_from_a_resource_like_any_number() -> None:
    assert str(number(exact_json.read(b"7.25"))) == "7.25"


def test_a_copy_keeps_the_text() -> None:
    found = exact_json.read(b'{"a":1.00}')

    assert exact_json.write(copy.deepcopy(found)) == b'{"a":1.00}'
    assert exact_json.write(pickle.loads(pickle.dumps(found))) == b'{"a":1.00}'  # noqa: S301 - of our own making


def test_the_resource_within_the_context_is_taken_before_an_equal_one_elsewhere() -> None:
    text = b'{"prefetch":{"x":{"v":1.0}},"context":{"o":[{"v":1.00}]}}'

    assert exact_json.write(exact_json.Original(text).as_written({"v": 1.0})) == b'{"v":1.00}'


@pytest.mark.parametrize(
    "long",
    [
        "1234567890123456789",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "123456789012345678901234567890",
    ],
)
def test_a_long_integer_beside_a_decimal_does_not_keep_its_text_away(long: str) -> None:
    text = b'{"context":{"v":1.00,"n":%s}}' % long.encode()

    resource = strict_json.read(text)["context"]

    assert exact_json.write(exact_json.Original(text).as_written(resource)) == text[len('{"context":') : -1]


@pytest.mark.parametrize(("resource", "text"), [({"v": 1.5}, b""), ({"v": 1.5}, b"[1.5]"), ({"v": 1}, b'{"v":1.0}')])
def test_what_does_not_stand_in_the_text_or_needs_nothing_stays_as_it_is(
    resource: dict[str, float], text: bytes
) -> None:
    assert exact_json.Original(text).as_written(resource) is resource


def test_indented_for_people() -> None:
    assert exact_json.write(exact_json.read(b'{"a":1.0}'), indented=True) == b'{\n  "a": 1.0\n}'


def test_what_is_no_json_cannot_be_written() -> None:
    with pytest.raises(TypeError):
        exact_json.write({"a": object()})


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_any_json_is_read_and_written_unchanged(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")

    assert json.loads(exact_json.write(exact_json.read(text))) == value
