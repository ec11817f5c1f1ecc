"""Value sets and products' codes as pages show them: grouped by code system and by how they are known.

Shown are code numbers and our own titles. SNOMED CT, CPT and LOINC license their texts, so none of them is here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from cds_service.library import DERIVED
from fhir_mappings import codes, products
from fhir_mappings.listings import ListedCode, ListedWords, is_verified

SYSTEMS = {
    "rxnorm": "RxNorm",
    "icd-10-cm": "ICD-10-CM",
    "icd-10-pcs": "ICD-10-PCS",
    "hcpcs": "HCPCS",
    "cpt": "CPT",
    "snomed": "SNOMED CT",
    "loinc": "LOINC",
    "ndc": "NDC",
    "unii": "UNII",
    "sopt": "Source of Payment Typology",
    "act-code": "HL7 ActCode",
}
"""What people call the code systems."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A code as people write it, and our own name for what it stands for, where we have one."""

    code: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Codes of one system that are known in the same way."""

    system: str
    codes: tuple[Coded, ...]
    verified: str
    prefixes: bool = False
    """Whether they stand for every code that begins with them."""

    @property
    def is_verified(self) -> bool:
        """Whether somebody could check them against a source."""
        return is_verified(self.verified)


@dataclass(frozen=True, slots=True)
class Words:
    """Words that count as the same, and where they are looked for."""

    words: tuple[str, ...]
    scopes: tuple[str, ...]
    verified: str
    unless: tuple[str, ...] = ()
    """Words that cancel them."""

    @property
    def is_verified(self) -> bool:
        """Whether somebody could check them against a source."""
        return is_verified(self.verified)


@dataclass(frozen=True, slots=True)
class ShownSet:
    """A value set for readers."""

    name: str
    title: str
    note: str
    groups: tuple[Group, ...] = ()
    words: tuple[Words, ...] = ()

    @property
    def count(self) -> int:
        """How many codes it lists; the beginning of codes counts as one."""
        return sum(len(group.codes) for group in self.groups)

    @property
    def unverified(self) -> int:
        """How many of them nobody could check."""
        return sum(len(group.codes) for group in self.groups if not group.is_verified)


def shown(name: str) -> ShownSet:
    """Return a value set, or what the mappings recognise without a list. KeyError when there is no such name."""
    if name in DERIVED:
        return ShownSet(
            name, DERIVED[name], "The service recognises it by its kind of record; there is no list of codes."
        )
    found = codes.value_set(name)
    return ShownSet(name, found.title, found.note or "", grouped(found.codes), tuple(map(_words, found.words)))


def grouped(listed: Iterable[ListedCode]) -> tuple[Group, ...]:
    """Return codes by system and by how they are known, in their order."""
    found: dict[tuple[str, str, bool], list[Coded]] = {}
    for one in listed:
        title = _titles().get((one.system, one.code), "")
        found.setdefault((one.system, one.verified, one.prefix), []).append(Coded(written(one), title))
    return tuple(
        Group(system_name(system), tuple(each), verified, prefix) for (system, verified, prefix), each in found.items()
    )


def system_name(system: str) -> str:
    """Return what people call a code system, by our short name for it."""
    return SYSTEMS.get(system, system)


def written(listed: ListedCode) -> str:
    """Return a code as people write it: ICD-10-CM with its dot, an NDC as 5-4-2."""
    code = listed.code
    if listed.system == "icd-10-cm" and len(code) > 3:
        return f"{code[:3]}.{code[3:]}"
    if listed.system == "ndc" and len(code) == 11:
        return f"{code[:5]}-{code[5:9]}-{code[9:]}"
    return code


@cache
def _titles() -> dict[tuple[str, str], str]:
    """Return our name of each product by its codes."""
    return {
        (code.listed.system, code.listed.code): one.brand or one.generic
        for one in products.products()
        for code in one.codes
    }


def _words(listed: ListedWords) -> Words:
    wording = listed.wording
    cancelled = (*wording.not_words, *wording.not_after, *wording.not_before, *wording.not_with)
    return Words(wording.words, tuple(sorted(listed.scopes)), listed.verified, cancelled)
