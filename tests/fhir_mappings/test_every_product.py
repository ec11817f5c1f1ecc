"""Every product of the registry is recognised in an order by each of its codes and by each of its names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fhir_mappings import orders
from fhir_mappings.facts import Order
from fhir_mappings.products import Product, ProductCode, products, registry
from fhir_mappings.systems import system_uri

KINDS = {"product", "ingredient", "procedure"}
SHARED = {name for shared in registry()[1] for name in shared.names}


def order(kind: str, *codings: dict[str, str], text: str | None = None) -> Order:
    """Return what is read of an order with these codings and this text."""
    concept: dict[str, Any] = {"coding": list(codings)} | ({"text": text} if text else {})
    raw = {
        "resourceType": kind,
        "id": "o1",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept" if kind == "MedicationRequest" else "code": concept,
    }
    found = orders.read(raw, {})
    assert isinstance(found, Order)
    return found


def written(code: ProductCode) -> Iterator[str]:
    """Yield the ways in which EHRs write a code: an NDC in eleven or ten digits, with and without hyphens."""
    listed = code.listed
    yield listed.code
    if listed.system == "ndc":
        labeler, item, package = listed.code[:5], listed.code[5:9], listed.code[9:]
        yield f"{labeler}-{item}-{package}"
        short = [
            (labeler.removeprefix("0"), item, package),
            (labeler, item.removeprefix("0"), package),
            (labeler, item, package.removeprefix("0")),
        ]
        for parts in short:
            if len("".join(parts)) == 10:
                yield "-".join(parts)
                yield "".join(parts)
    elif listed.system in {"unii", "hcpcs", "icd-10-pcs"}:
        yield listed.code.lower()


CODES = [
    pytest.param(one, code, text, id=f"{one.id}-{code.listed.system}-{text}")
    for one in products()
    for code in one.codes
    for text in written(code)
]
NAMES = [
    pytest.param(one, name, id=f"{one.id}-{name}")
    for one in products()
    for name in (*one.names, *one.exact_names)
    if name not in SHARED
]


@pytest.mark.parametrize(("product", "code", "text"), CODES)
@pytest.mark.parametrize("kind", ["MedicationRequest", "ServiceRequest"])
def test_by_its_code(kind: str, product: Product, code: ProductCode, text: str) -> None:
    found = order(kind, {"system": system_uri(code.listed.system), "code": text})
    assert (found.therapy, found.identified) == (product.id, code.kind)
    assert found.approval is not None
    assert found.approval.state == product.state
    assert (found.course is not None) == (product.state == "approved")


@pytest.mark.parametrize(("product", "code", "text"), [p for p in CODES if p.values[1].kind == "product"])  # type: ignore[union-attr]  # each holds a ProductCode
def test_an_unlisted_code_beside_its_code_does_not_hide_it(product: Product, code: ProductCode, text: str) -> None:
    unlisted = {"system": system_uri("hcpcs"), "code": "J3590"}
    found = order("MedicationRequest", unlisted, {"system": system_uri(code.listed.system), "code": text})
    assert (found.therapy, found.identified) == (product.id, "product")


@pytest.mark.parametrize(("product", "name"), NAMES)
@pytest.mark.parametrize("sentence", ["{}", "{} infusion, one dose", "Planned: ({})"])
def test_by_its_name(sentence: str, product: Product, name: str) -> None:
    found = order("ServiceRequest", text=sentence.format(name))
    assert (found.therapy, found.identified) == (product.id, "text")


@pytest.mark.parametrize(
    ("product", "name"),
    [p for p in NAMES if p.values[1] not in p.values[0].exact_names],  # type: ignore[union-attr]  # each holds a Product
)
def test_by_its_name_in_any_case_behind_an_unlisted_code(product: Product, name: str) -> None:
    unlisted = {"system": system_uri("hcpcs"), "code": "J3590"}
    for spelling in (name.upper(), name.lower(), name.title()):
        assert order("MedicationRequest", unlisted, text=spelling).therapy == product.id


@pytest.mark.parametrize("name", sorted(SHARED))
def test_a_name_that_two_products_share_is_asked_about(name: str) -> None:
    assert order("MedicationRequest", text=name).notices


def test_every_product_has_a_code_or_a_name_and_every_kind_of_code_is_tried() -> None:
    assert [one.id for one in products() if not (one.codes or one.names or one.exact_names)] == []
    assert {code.kind for one in products() for code in one.codes} == KINDS
    assert {code.listed.system for one in products() for code in one.codes} == {
        *("ndc", "rxnorm", "hcpcs", "icd-10-pcs", "unii")
    }
