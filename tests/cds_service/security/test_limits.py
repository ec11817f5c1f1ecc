"""How an answer's body is put together, unpacked and cut."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import CouldNotRetrieve
from cds_service.security import limits
from cds_service.security.limits import Allowance, whole


def in_parts(body: bytes, size: int = 1000) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_a_body_is_the_sum_of_its_parts(encoding: str) -> None:
    assert whole([b"ab", b"", b"c"], encoding, Allowance()) == b"abc"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
@given(body=st.binary(max_size=5000), size=st.integers(1, 200), repeat=st.integers(1, 100))
def test_gzip_is_unpacked_however_it_is_cut_into_parts(encoding: str, body: bytes, size: int, repeat: int) -> None:
    text = (body * repeat).replace(b",", b"").replace(b"[", b"").replace(b"{", b"")

    assert whole(in_parts(gzip.compress(text), size), encoding, Allowance()) == text


def test_gzip_may_have_several_members() -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")

    assert whole(in_parts(packed, 7), "gzip", Allowance()) == b"one two"
    assert whole([packed], "gzip", Allowance()) == b"one two"


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no gzip",
        gzip.compress(b"x" * 1000)[:-1],
        gzip.compress(b"x" * 1000)[:-12],
        gzip.compress(b"x") + b"rest",
        gzip.compress(b"x")[:-6] + b"\0\0\0\0\0\0",
        zlib.compress(b"x"),
    ],
)
def test_gzip_that_is_broken_or_cut_short_is_not_read(packed: bytes) -> None:
    with pytest.raises(ValueError, match="gzip"):
        whole([packed], "gzip", Allowance())


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "compress", "gzip, gzip", "gzip, identity", "aes128gcm"])
def test_what_was_not_asked_for_is_not_unpacked(encoding: str) -> None:
    parts = iter([b"x"])

    with pytest.raises(CouldNotRetrieve, match="not asked for"):
        whole(parts, encoding, Allowance())

    assert list(parts) == [b"x"], "it was read"


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_an_answer_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setattr(limits, "MAX_ANSWER", 100_000)
    least, most = (b"".join(b"%x" % (n * n) for n in range(size))[:size] for size in (100_000, 100_001))

    def sent(body: bytes) -> Iterator[bytes]:
        return in_parts(gzip.compress(body) if encoding else body)

    assert whole(sent(least), encoding, Allowance()) == least
    with pytest.raises(CouldNotRetrieve, match="answer is too large"):
        whole(sent(most), encoding, Allowance())


def test_a_bomb_is_unpacked_no_further_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ANSWER", 100_000)
    allowance = Allowance()

    with pytest.raises(CouldNotRetrieve, match="answer is too large"):
        whole([gzip.compress(b" " * 50_000_000)], "gzip", allowance)

    allowance.take("bytes", limits.MAX_BYTES - 100_000 - 64 * 1024 - 50_000)


def test_gzip_that_holds_nothing_for_ever_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 100_000)

    def nothing() -> Iterator[bytes]:
        yield gzip.compress(b"")[:10]
        for _ in range(1000):
            yield b"\x00\x00\x00\xff\xff" * 1000  # blocks of no bytes

    with pytest.raises(CouldNotRetrieve, match="together more"):
        whole(nothing(), "gzip", Allowance())


def test_answers_together_end_at_the_limit_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 2500)
    allowance = Allowance()

    assert [len(whole([b"x" * 1000], "", allowance)) for _ in range(2)] == [1000, 1000]
    with pytest.raises(CouldNotRetrieve, match="together more"):
        whole([b"x" * 1000], "", allowance)


@pytest.mark.parametrize("values", [b"[[],[]]", b"[1,2,3]", b'{"a":{},"b":1}'])
def test_an_answer_of_countless_small_values_is_too_large(monkeypatch: pytest.MonkeyPatch, values: bytes) -> None:
    monkeypatch.setattr(limits, "MAX_VALUES", 3 if values != b"[[],[]]" else 4)
    assert whole([values], "", Allowance()) == values

    monkeypatch.setattr(limits, "MAX_VALUES", 2)
    with pytest.raises(CouldNotRetrieve, match="answer is too large"):
        whole([values], "", Allowance())


@pytest.mark.parametrize(("kind", "name"), [("records", "MAX_RECORDS"), ("calls", "MAX_CALLS")])
def test_records_and_calls_end_at_their_limit(monkeypatch: pytest.MonkeyPatch, kind: limits.Kind, name: str) -> None:
    monkeypatch.setattr(limits, name, 2)
    allowance = Allowance()

    allowance.take(kind)
    allowance.take(kind)
    with pytest.raises(CouldNotRetrieve, match="together more"):
        allowance.take(kind)
