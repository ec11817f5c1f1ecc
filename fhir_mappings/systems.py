"""Code systems and the normal form of their codes. Reads ``systems.yaml`` once; knows no value sets."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from fhir_mappings import strict_yaml
from fhir_mappings.facts import Coding

DATA = Path(__file__).parent
_LONGEST_CODE = 40  # no code that we list is longer, and what an EHR sends as a code must not fill our caches


def canonical(system: str | None, code: str | None) -> Coding | None:
    """Return the code in its normal form under the short name of its system; None when either is missing or unknown.

    An NDC of ten digits without hyphens has three readings; the first is returned, ``normal_forms`` gives all.
    """
    forms = normal_forms(system, code)
    return Coding(*forms[0]) if forms else None


def normal_forms(system: str | None, code: str | None) -> list[tuple[str, str]]:
    """Return what the code may stand for, as (short name of the system, normal form of the code).

    ICD codes are in upper case without dots, CCNs without hyphens, NDCs have 11 digits. CPT and HCPCS are one space,
    told apart by the shape of the code, because feeds put each under the other's URI.
    """
    if not system or not code or len(code) > _LONGEST_CODE:
        return []
    names = _names()
    name = names.get(system) or names.get(_folded(system))
    written = code.strip()
    if name is None or not written:
        return []
    if name in ("icd-10-cm", "icd-10-pcs"):
        return [(name, written.upper().replace(".", ""))]
    if name in ("hcpcs", "cpt"):
        written = written.upper()
        return [("cpt" if written[0].isdigit() else "hcpcs", written)]
    if name == "ndc":
        return [(name, form) for form in ndc_forms(written)]
    if name == "ccn":
        return [(name, written.upper().replace("-", ""))]
    return [(name, written.upper() if name in ("unii", "loinc") else written)]


def ndc_forms(code: str) -> list[str]:
    """Return the 11-digit NDCs that a written NDC may be; the text itself when it has no form of an NDC.

    Labels print 10 digits as 4-4-2, 5-3-2 or 5-4-1; billing pads the short segment with a zero to 5-4-2.
    """
    parts = code.split("-")
    if not all(part.isascii() and part.isdigit() for part in parts):
        return [code]
    lengths = tuple(map(len, parts))
    if lengths in ((4, 4, 2), (5, 3, 2), (5, 4, 1), (5, 4, 2)):
        return [parts[0].zfill(5) + parts[1].zfill(4) + parts[2].zfill(2)]
    if lengths == (10,):
        return ["0" + code, f"{code[:5]}0{code[5:]}", f"{code[:9]}0{code[9:]}"]
    return [code]


def system_uri(name: str) -> str:
    """Return the canonical URI of a system's short name; KeyError when there is no such system."""
    return str(_systems()[name]["uri"])


@cache
def shape_of(name: str) -> re.Pattern[str] | None:
    """Return the shape of a system's codes as we list them; None where any text may be one. KeyError for no system."""
    shape = _systems()[name].get("shape")
    return re.compile(shape) if shape else None


def system_names() -> frozenset[str]:
    """Return the short names of the systems that we know."""
    return frozenset(_systems())


@cache
def _systems() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = strict_yaml.read(DATA / "systems.yaml")["systems"]
    return found


@cache
def _names() -> dict[str, str]:
    """Return the short name of every URI, alias and OID: as written for speed, and folded for what feeds make of it."""
    names: dict[str, str] = {}
    for name, system in _systems().items():
        oids = [form for oid in system.get("oids", []) for form in (oid, f"urn:oid:{oid}")]
        for uri in (system["uri"], *system.get("aliases", []), *oids):
            if names.setdefault(_folded(uri), name) != name:
                raise ValueError(f"systems.yaml: {uri} stands for {names[_folded(uri)]} and for {name}")
            names[uri] = name
    return names


def _folded(uri: str) -> str:
    """Return a URI without what does not tell systems apart: case, scheme, a final slash."""
    return re.sub(r"^https?://(www\.)?", "", uri.strip().casefold()).rstrip("/")
