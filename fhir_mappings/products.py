"""The registry of cell and gene therapy products: their codes, names and approval. Reads ``products.yaml`` once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fhir_mappings.dates import date_range
from fhir_mappings.facts import DateRange
from fhir_mappings.listings import ListedCode, fields, listed_codes, texts
from fhir_mappings.systems import DATA, read_yaml

_FACTS = ("approval_note", "one_time", "administrations_per_course", "course_note", "max_doses", "cgt_access_model")


class ProductCode(NamedTuple):
    """A code of a product and how closely it names it; ``gives_way_to`` as in ``therapies.yaml``."""

    listed: ListedCode
    kind: Literal["product", "ingredient", "procedure"]
    gives_way_to: frozenset[str]
    notice: str | None


class SharedName(NamedTuple):
    """Names that several products have, and the product that they are taken for."""

    product: str
    names: tuple[str, ...]
    notice: str


@dataclass(frozen=True, slots=True)
class Product:
    """One product of the registry, or one that is known not to be approved (``approved`` is None)."""

    id: str
    brand: str | None
    generic: str
    kind: str
    """What sort of product it is, in our words; every CAR-T product says exactly ``CAR-T``."""
    names: tuple[str, ...]
    exact_names: tuple[str, ...]
    codes: tuple[ProductCode, ...]
    approved: DateRange | None = None
    """The day of the first FDA approval, or the month or year in which it was."""
    approval_note: str | None = None
    one_time: bool = False
    administrations_per_course: int | None = None
    """How many administrations make one labelled course; None when the label sets no number."""
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


def products() -> tuple[Product, ...]:
    """Return all products, those known not to be approved last."""
    return tuple(registry()[0].values())


@cache
def registry() -> tuple[dict[str, Product], tuple[SharedName, ...]]:
    """Return the products by id, and the names that several of them share."""
    return read_products(DATA / "products.yaml")


def read_products(path: Path) -> tuple[dict[str, Product], tuple[SharedName, ...]]:
    """Read the registry; ValueError naming the file, the product and what is wrong with it."""
    found = read_yaml(path)
    try:
        found = fields(found, {"products", "shared_names", "not_approved"}, {"sources"})
        listed: dict[str, Product] = {}
        for entry in found["products"] + found["not_approved"]:
            _add(listed, _product(entry))
        return listed, tuple(_shared(entry, listed) for entry in found["shared_names"])
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _add(listed: dict[str, Product], one: Product) -> None:
    if one.id in listed:
        raise ValueError(f"{one.id} stands there twice")
    listed[one.id] = one


def _product(entry: Any) -> Product:
    others = {"approved", "codes", "exact_names", "earlier_product", *_FACTS}
    found = fields(entry, {"id", "brand", "generic", "class", "names"}, others)
    approved = date_range(found.get("approved"))
    if "approved" in found and approved is None:
        raise ValueError(f"{found['id']}: {found['approved']!r} is no date in quotes")
    return Product(
        id=found["id"],
        brand=found["brand"],
        generic=found["generic"],
        kind=found["class"],
        names=texts(found["names"]),
        exact_names=texts(found.get("exact_names", ())),
        codes=tuple(code for group in found.get("codes", []) for code in _codes(group)),
        approved=approved,
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
    found = fields(entry, {"product", "names", "notice"}, ())
    if found["product"] not in listed:
        raise ValueError(f"{found['product']!r} is no product")
    return SharedName(found["product"], texts(found["names"]), found["notice"])
