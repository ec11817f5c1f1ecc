"""Which therapy an order is for. Reads ``therapies.yaml`` once; knows no FHIR.

The common answer is None, and it is cheap: a dictionary miss for each code and each word of the texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from fhir_mappings import products, strict_yaml
from fhir_mappings.codes import match_code, match_words, together, value_set, value_set_names
from fhir_mappings.facts import Identified
from fhir_mappings.json_fields import LONGEST
from fhir_mappings.listings import ListedCode, fields, listed_codes, texts, wording
from fhir_mappings.phrases import Phrases, Wording
from fhir_mappings.products import Product, SharedName
from fhir_mappings.strict_yaml import BadDataError
from fhir_mappings.systems import DATA, normal_forms

NOT_A_THERAPY = "nothing"
"""What a text names when an unlisted code is for something else than a cell or gene therapy."""

_CLOSENESS: Mapping[str, int] = {"product": 0, "ingredient": 1, "procedure": 2, "text": 3}
_KEYS = ("gives_way_to", "notice")


class Recognised(NamedTuple):
    """The therapy of an order, how closely it is named, and the value sets that its codes and its name are in."""

    therapy: str
    identified: Identified
    concepts: frozenset[str]
    notices: tuple[str, ...] = ()
    """What a reader should know about how the therapy was told, in our words."""
    alternatives: tuple[str, ...] = ()
    """The other products that the same name may mean."""


class _Naming(NamedTuple):
    """What one code or one wording names. The lower the rank, the more it says."""

    therapy: str
    identified: Identified
    rank: int
    is_product: bool = False
    gives_way_to: frozenset[str] = frozenset()
    notice: str | None = None
    alternatives: tuple[str, ...] = ()

    def gives_way(self, other: _Naming) -> bool:
        named = {other.therapy, "anything"} | ({"products"} if other.is_product else set())
        return not self.gives_way_to.isdisjoint(named)


class _Registry(NamedTuple):
    titles: dict[str, str]
    codes: dict[tuple[str, str], _Naming]
    phrases: Phrases
    named: list[_Naming]
    """What the phrases name, in their order."""
    listed: dict[str, tuple[ListedCode, ...]]
    """The codes of the therapies that are no product."""


def recognise(codings: Sequence[tuple[str | None, str | None]], texts: Sequence[str]) -> Recognised | None:
    """Return the therapy that codes (raw system, raw code) and names tell; None when it is none that we know.

    Codes win over texts, except where a code says less than a name (an unlisted biologic, an islet transplant).
    """
    registry = _registry()
    coded = [registry.codes[f] for c in codings for f in normal_forms(*c) if f in registry.codes]
    said = [naming for text in texts for naming in (_said if len(text) > LONGEST else _said_before)(text)]
    if not coded and not said:
        return None
    name = min(said, key=lambda naming: naming.rank, default=None)
    firm = [code for code in coded if name is None or not code.gives_way(name)]
    best = min(firm or said, key=lambda naming: (_CLOSENESS[naming.identified], naming.rank))
    if best.therapy == NOT_A_THERAPY:
        return None
    notices = tuple(_notices(best, firm, name))
    others = best.alternatives if best.notice in notices else ()
    found = [match_code(*coding) for coding in codings] + [match_words(text, "orders") for text in texts]
    return Recognised(best.therapy, best.identified, together(found).concepts, notices, others)


def _said(text: str) -> tuple[_Naming, ...]:
    registry = _registry()
    return tuple(registry.named[place] for place in registry.phrases.find(text))


_said_before = lru_cache(maxsize=16384)(_said)
"""Names of drugs, tests and services recur; what is longer than a name does not."""


def display_name(therapy: str) -> str:
    """Return what a therapy is called on a card; KeyError when there is no such therapy."""
    return _registry().titles[therapy]


def codes_of(therapy: str) -> tuple[ListedCode, ...]:
    """Return the codes that name a therapy; KeyError when there is no such therapy."""
    one = products.product(therapy)
    return tuple(code.listed for code in one.codes) if one else _registry().listed[therapy]


def ids() -> frozenset[str]:
    """Return every therapy id that an order can have."""
    return frozenset(_registry().titles)


def groups() -> dict[str, frozenset[str]]:
    """Return the names that a policy may use for many therapies at once.

    ``unapproved-products`` are those that are not approved and those of which it is not known.
    """
    approved = [one for one in products.products() if one.state == "approved"]
    return {
        "cell-and-gene-products": frozenset(one.id for one in approved),
        "unapproved-products": frozenset(one.id for one in products.products() if one.state != "approved"),
        "car-t-products": frozenset(one.id for one in approved if one.kind == "CAR-T"),
    }


def _notices(best: _Naming, firm: Iterable[_Naming], name: _Naming | None) -> Iterator[str]:
    """Yield what is unclear about the naming: a name that several products share, or codes and texts that disagree."""
    named_clearly = name is not None and name.notice is None
    if best.notice and not (named_clearly and name is not None and name.therapy == best.therapy):
        yield best.notice
    if not best.is_product:
        return
    others = {code.therapy for code in firm if code.is_product}
    if name is not None and named_clearly and name.is_product:
        others.add(name.therapy)
    for other in sorted(others - {best.therapy}):
        yield f"The order also names {display_name(other)}; it was read as {display_name(best.therapy)}."


@cache
def _registry() -> _Registry:
    return read_registry(DATA / "therapies.yaml", *products.registry())


def read_registry(path: Path, listed: Mapping[str, Product], shared: Iterable[SharedName]) -> _Registry:
    """Read how orders name products and other therapies; BadDataError naming the file and what is wrong with it."""
    titles = {one.id: one.title for one in listed.values()}
    codes: dict[tuple[str, str], _Naming] = {}
    found = strict_yaml.read(path)
    try:
        wordings = [*_product_namings(listed, shared, codes), *_therapy_namings(found, titles, codes)]
        codes_of = {entry["id"]: _listed(entry) for entry in found["therapies"]}
    except ValueError as error:
        raise BadDataError(f"{path.name}: {error}") from error
    named = [naming._replace(rank=rank) for rank, (_, naming) in enumerate(wordings)]
    return _Registry(titles, codes, Phrases([words for words, _ in wordings]), named, codes_of)


def _product_namings(
    listed: Mapping[str, Product], shared: Iterable[SharedName], codes: dict[tuple[str, str], _Naming]
) -> Iterator[tuple[Wording, _Naming]]:
    """Add the codes of the products and yield how texts name them."""
    for one in listed.values():
        for code in one.codes:
            naming = _Naming(one.id, code.kind, len(codes), True, code.gives_way_to, code.notice)
            if codes.setdefault((code.listed.system, code.listed.code), naming).therapy != one.id:
                raise ValueError(f"{one.id}: {code.listed.code} is also a code of another product")
        yield Wording(one.names), _Naming(one.id, "text", 0, True)
        yield Wording(one.exact_names, exact=True), _Naming(one.id, "text", 0, True)
    for name in shared:
        first, *others = name.products
        yield Wording(name.names), _Naming(first, "text", 0, True, notice=name.notice, alternatives=tuple(others))


def _therapy_namings(
    found: Any, titles: dict[str, str], codes: dict[tuple[str, str], _Naming]
) -> Iterator[tuple[Wording, _Naming]]:
    """Add the titles and codes of the therapies that are no product and yield how texts name them."""
    found = fields(found, {"therapies", "nothing"}, ())
    for entry in found["therapies"]:
        fields(entry, {"id", "title", "codes", "words"}, ())
        titles[entry["id"]] = entry["title"]
        for group in entry["codes"]:
            gives_way_to = frozenset(texts(group.get("gives_way_to", ())))
            naming = _Naming(entry["id"], "procedure", len(codes), False, gives_way_to, group.get("notice"))
            for code in _codes(group):
                codes.setdefault((code.system, code.code), naming)
        for group in entry["words"]:
            yield wording(group, "notice"), _Naming(entry["id"], "text", 0, notice=group.get("notice"))
    for group in found["nothing"]:
        yield wording(group), _Naming(NOT_A_THERAPY, "text", 0)


def _listed(entry: Any) -> tuple[ListedCode, ...]:
    return tuple(dict.fromkeys(code for group in entry["codes"] for code in _codes(group)))


def _codes(group: Any) -> Iterable[ListedCode]:
    """Return the codes of a group, which lists them or names the value set that does."""
    if "value_set" not in group:
        return listed_codes(group, *_KEYS)
    name = fields(group, {"value_set"}, _KEYS)["value_set"]
    if name not in value_set_names():
        raise ValueError(f"{name!r} is no value set")
    return [code for code in value_set(name).codes if not code.prefix]
