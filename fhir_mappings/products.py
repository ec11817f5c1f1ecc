"""The registry of cell and gene therapy products: their codes, names and approval. Reads ``products.yaml`` once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from fhir_mappings import strict_yaml
from fhir_mappings.dates import date_range
from fhir_mappings.facts import Approval, Course, DateRange
from fhir_mappings.listings import ListedCode, fields, listed_codes, texts
from fhir_mappings.strict_yaml import BadDataError
from fhir_mappings.systems import DATA

UNIDENTIFIED = "unidentified-biologic"
"""The therapy of an order that has only an unlisted code."""

State = Literal["approved", "not-approved", "undetermined"]

_SECTIONS: Mapping[str, State] = MappingProxyType(
    {"products": "approved", "not_approved": "not-approved", "undetermined": "undetermined"}
)
_FACTS = (
    *("approval_note", "one_time", "administrations_per_course", "course_days", "course_note", "max_doses"),
    "cgt_access_model",
)


class ProductCode(NamedTuple):
    """A code of a product and how closely it names it; ``gives_way_to`` as in ``therapies.yaml``."""

    listed: ListedCode
    kind: Literal["product", "ingredient", "procedure"]
    gives_way_to: frozenset[str]
    notice: str | None


class SharedName(NamedTuple):
    """Names that several products have; the first product is meant unless its label does not fit the patient's age."""

    products: tuple[str, ...]
    names: tuple[str, ...]
    notice: str


@dataclass(frozen=True, slots=True)
class Product:
    """One product of the registry, or one that is not approved or of which that is not known (see ``state``)."""

    id: str
    brand: str | None
    generic: str
    kind: str
    """What sort of product it is, in our words; every CAR-T product says exactly ``CAR-T``."""
    names: tuple[str, ...]
    exact_names: tuple[str, ...]
    codes: tuple[ProductCode, ...]
    state: State
    approved: DateRange | None = None
    """The day of the first FDA approval, or the month or year in which it was. A missing date is no approval."""
    approval_note: str | None = None
    """What else is known of the approval, in whole sentences."""
    discontinued: str | None = None
    """Since when it is no longer marketed: an ISO date, month or year."""
    one_time: bool = False
    administrations_per_course: int | None = None
    """How many administrations make one labelled course; None when the label sets no number."""
    course_days: int | None = None
    """The days in which the administrations of a course lie; None when the label sets no limit that we know."""
    course_note: str | None = None
    max_doses: int | None = None
    cgt_access_model: bool = False
    earlier_product: bool = True
    """False where having had it is not an earlier cell or gene therapy (cord blood is a stem cell transplant)."""

    @property
    def title(self) -> str:
        """What people call it: brand and generic name."""
        return f"{self.brand} ({self.generic})" if self.brand and self.brand != self.generic else self.generic

    @property
    def hcpcs(self) -> tuple[str, ...]:
        """The product-specific HCPCS codes."""
        return tuple(code.listed.code for code in self.codes if code.listed.system == "hcpcs")


def product(therapy: str) -> Product | None:
    """Return the product of a therapy id, approved or not; None when the therapy is not one product."""
    return registry()[0].get(therapy)


def approval(therapy: str) -> Approval | None:
    """Return what the registry says of a therapy's approval; None when the therapy is not one product."""
    if therapy == UNIDENTIFIED:
        return Approval("unidentified")
    one = product(therapy)
    if one is None:
        return None
    market = f"It has not been marketed since {one.discontinued}." if one.discontinued else None
    return Approval(one.state, one.approved, one.approval_note, market)


def course(therapy: str) -> Course | None:
    """Return what makes one labelled course; None when the therapy is not one approved product."""
    one = product(therapy)
    if one is None or one.state != "approved":
        return None
    return Course(one.administrations_per_course or one.max_doses, one.course_days)


def products() -> tuple[Product, ...]:
    """Return all products, those not (known to be) approved last."""
    return tuple(registry()[0].values())


@cache
def registry() -> tuple[dict[str, Product], tuple[SharedName, ...]]:
    """Return the products by id, and the names that several of them share."""
    return read_products(DATA / "products.yaml")


def read_products(path: Path) -> tuple[dict[str, Product], tuple[SharedName, ...]]:
    """Read the registry; BadDataError naming the file, the product and what is wrong with it."""
    found = strict_yaml.read(path)
    try:
        found = fields(found, {"shared_names", *_SECTIONS}, {"sources"})
        listed: dict[str, Product] = {}
        for section, state in _SECTIONS.items():
            for entry in found[section]:
                _add(listed, _product(entry, state))
        return listed, tuple(_shared(entry, listed) for entry in found["shared_names"])
    except ValueError as error:
        raise BadDataError(f"{path.name}: {error}") from error


def _add(listed: dict[str, Product], one: Product) -> None:
    if one.id in listed:
        raise ValueError(f"{one.id} stands there twice")
    listed[one.id] = one


def _product(entry: Any, state: State) -> Product:
    others = {"approved", "discontinued", "codes", "exact_names", "earlier_product", *_FACTS}
    found = fields(entry, {"id", "brand", "generic", "class", "names"}, others)
    for name in ("approved", "discontinued"):
        if name in found and date_range(found[name]) is None:
            raise ValueError(f"{found['id']}: {found[name]!r} is no date in quotes")
    return Product(
        id=found["id"],
        brand=found["brand"],
        generic=found["generic"],
        kind=found["class"],
        names=texts(found["names"]),
        exact_names=texts(found.get("exact_names", ())),
        codes=tuple(code for group in found.get("codes", []) for code in _codes(group)),
        state=state,
        approved=date_range(found.get("approved")),
        discontinued=found.get("discontinued"),
        earlier_product=found.get("earlier_product", True),
        **{name: found[name] for name in _FACTS if name in found},
    )


def _codes(group: Any) -> list[ProductCode]:
    listed = listed_codes(group, "kind", "gives_way_to", "notice")
    if group.get("kind") not in ("product", "ingredient", "procedure"):
        raise ValueError(f"{group.get('kind')!r} does not say how closely a code names a product")
    gives_way_to = frozenset(texts(group.get("gives_way_to", ())))
    return [ProductCode(code, group["kind"], gives_way_to, group.get("notice")) for code in listed]


def _shared(entry: Any, listed: dict[str, Product]) -> SharedName:
    found = fields(entry, {"products", "names", "notice"}, ())
    sharing = texts(found["products"])
    for one in sharing:
        if one not in listed:
            raise ValueError(f"{one!r} is no product")
    return SharedName(sharing, texts(found["names"]), found["notice"])
