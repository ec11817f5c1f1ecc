"""Which therapy an order is for. Reads ``therapies.yaml`` once; knows no FHIR.

The common answer is None, and it is cheap: a dictionary miss for each code and each word of the texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
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
from fhir_mappings.systems import DATA, normal_forms, system_uri

NOT_A_THERAPY = "nothing"
"""What a text names when an unlisted code is for something else than a cell or gene therapy."""

_CLOSENESS: Mapping[str, int] = {"product": 0, "ingredient": 1, "procedure": 2, "text": 3}
_KEYS = ("gives_way_to", "notice")
_DRUGS = frozenset({"rxnorm", "ndc", "unii"})


class Recognised(NamedTuple):
    """The therapy of an order, how closely it is named, and the value sets that its codes and its name are in."""

    therapy: str
    identified: Identified
    concepts: frozenset[str]
    notices: tuple[str, ...] = ()
    """What a reader should know about how the therapy was told, in our words."""
    alternatives: tuple[str, ...] = ()
    """The other products that the same name may mean."""
    by_words: bool = False
    """No code says that it is one: an unlisted code, one that we do not know or none stands beside the name."""


class _Naming(NamedTuple):
    """What one code or one wording names. The lower the rank, the more it says."""

    therapy: str
    identified: Identified
    rank: int
    is_product: bool = False
    gives_way_to: frozenset[str] = frozenset()
    notice: str | None = None
    alternatives: tuple[str, ...] = ()
    mentioned_counts: bool = False
    """Whether it counts whatever stands around its name, or beside it as a code."""

    def gives_way(self, other: _Naming) -> bool:
        named = {other.therapy, "anything"} | ({"products"} if other.is_product else set())
        return not self.gives_way_to.isdisjoint(named)


class _Registry(NamedTuple):
    titles: dict[str, str]
    codes: dict[tuple[str, str], _Naming]
    recorded: Phrases
    ordered: Phrases
    named: list[_Naming]
    """What the phrases name, in their order."""
    listed: dict[str, tuple[ListedCode, ...]]
    """The codes of the therapies that are no product."""
    others: frozenset[tuple[str, str]]
    """The codes of what goes with a therapy and is none, and below the ways in which more such codes begin."""
    beginnings: frozenset[tuple[str, str]]


def recognise(
    codings: Sequence[tuple[str | None, str | None]], texts: Sequence[str], *, ordered: bool = False
) -> Recognised | None:
    """Return the therapy that codes (raw system, raw code) and names tell; None when it is none that we know.

    ``ordered``: they are those of an order, whose text speaks of more than a name (how, after what); what a chart only
    mentions was not given.
    Codes win over texts, except where a code says less than a name (an unlisted biologic, an islet transplant).
    """
    registry = _registry()
    coded = [registry.codes[f] for c in codings for f in normal_forms(*c) if f in registry.codes]
    said = [naming for text in texts for naming in (_said if len(text) > LONGEST else _said_before)(text, ordered)]
    if not coded and said and is_something_else(codings):
        said = [naming for naming in said if naming.mentioned_counts]
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
    by_words = not firm and all("anything" in code.gives_way_to for code in coded)
    return Recognised(best.therapy, best.identified, together(found).concepts, notices, others, by_words)


def is_something_else(codings: Iterable[tuple[str | None, str | None]]) -> bool:
    """Whether a code is for what goes with a therapy (collecting cells, imaging, visits) or for another drug.

    A therapy that is named in the text beside it is then only mentioned.
    """
    return any(_is_else(*form) for coding in codings for form in normal_forms(*coding))


def _is_else(system: str, code: str) -> bool:
    registry = _registry()
    if system in _DRUGS:
        known = not match_code(system_uri(system), code).concepts <= value_sets()
        return (system, code) in registry.others or known
    beginnings = ((system, code[:length]) for length in range(1, len(code)))
    return (system, code) in registry.others or not registry.beginnings.isdisjoint(beginnings)


@cache
def value_sets() -> frozenset[str]:
    """Return the value sets of therapies: those of which every code names one."""
    known = _registry().codes
    listed = {name: value_set(name).codes for name in value_set_names()}
    return frozenset(n for n, found in listed.items() if found and all((c.system, c.code) in known for c in found))


def _said(text: str, ordered: bool) -> tuple[_Naming, ...]:
    registry = _registry()
    phrases = registry.ordered if ordered else registry.recorded
    return tuple(registry.named[place] for place in phrases.find(text))


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
        fields(found, {"therapies", "nothing"}, {"mentioned", "not_ordered", "something_else"})
        mentioned, not_ordered = (wording({"words": (), **found.get(n, {})}) for n in ("mentioned", "not_ordered"))
        wordings = [*_product_namings(listed, shared, codes), *_therapy_namings(found, titles, codes)]
        codes_of = {entry["id"]: _listed(entry) for entry in found["therapies"]}
        others, beginnings = _something_else(found.get("something_else", {}))
    except ValueError as error:
        raise BadDataError(f"{path.name}: {error}") from error
    named = [naming._replace(rank=rank) for rank, (_, naming) in enumerate(wordings)]
    recorded = Phrases([_around(*one, mentioned) for one in wordings])
    ordered = Phrases([_around(*one, not_ordered) for one in wordings])
    return _Registry(titles, codes, recorded, ordered, named, codes_of, others, beginnings)


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
    for entry in found["therapies"]:
        fields(entry, {"id", "title", "codes", "words"}, {"mentioned_counts"})
        titles[entry["id"]] = entry["title"]
        for group in entry["codes"]:
            gives_way_to = frozenset(texts(group.get("gives_way_to", ())))
            naming = _Naming(entry["id"], "procedure", len(codes), False, gives_way_to, group.get("notice"))
            for code in _codes(group):
                codes.setdefault((code.system, code.code), naming)
        for group in entry["words"]:
            counts = bool(entry.get("mentioned_counts"))
            naming = _Naming(entry["id"], "text", 0, notice=group.get("notice"), mentioned_counts=counts)
            yield wording(group, "notice"), naming
    for group in found["nothing"]:
        yield wording(group), _Naming(NOT_A_THERAPY, "text", 0, mentioned_counts=True)


def _around(words: Wording, naming: _Naming, around: Wording) -> Wording:
    """Return a wording that what stands around a mere mention cancels as well, unless a mention counts."""
    if naming.mentioned_counts:
        return words
    return replace(
        words,
        not_words=words.not_words + around.not_words,
        not_after=words.not_after + around.not_after,
        not_before=words.not_before + around.not_before,
        not_with=words.not_with + around.not_with,
        denied_within=around.denied_within,
    )


def _something_else(found: Any) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
    found = fields(found, (), {"codes", "prefixes"})
    whole = [code for group in found.get("codes", ()) for code in _codes(group)]
    begun = [code for group in found.get("prefixes", ()) for code in listed_codes(group, whole=False)]
    return frozenset((c.system, c.code) for c in whole), frozenset((c.system, c.code) for c in begun)


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
