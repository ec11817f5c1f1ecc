"""In which records of a chart the codes and words of a value set can stand at all: what is not certain is possible."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fhir_mappings import codes, goals
from fhir_mappings.facts import Records

_SERVICES = frozenset({"procedures", "orders"})
_DRUGS = frozenset({"medications", "orders"})
_SCOPES: Mapping[Records, frozenset[str]] = MappingProxyType(
    {
        # a device in use is a condition, and is named as services are
        "conditions": frozenset({"conditions"}) | _SERVICES,
        "observations": frozenset({"observations"}),
        "procedures": _SERVICES,
        "service-requests": _SERVICES,
        "medication-requests": _DRUGS,
        "medication-administrations": _DRUGS,
    }
)
"""The scopes of words that the readers of each record look in; goals have a reader of their own."""

_OF_INSURANCE = frozenset({"sopt", "act-code", "nucc", "npi", "naic", "ccn", "mbi", "ucum"})
_NO_DRUG = frozenset({"icd-10-cm", "loinc"})
_FOREIGN: Mapping[Records, frozenset[str]] = MappingProxyType(
    {
        # neither diagnoses nor devices: HCPCS and NDC name devices
        "conditions": frozenset({"cpt", "icd-10-pcs", "loinc", "rxnorm", "unii"}),
        "observations": frozenset({"icd-10-pcs"}),
        "medication-requests": _NO_DRUG,
        "medication-administrations": _NO_DRUG,
    }
)
"""The systems whose codes never name what such a record is about, beside those of insurance."""


def records_of(name: str) -> frozenset[Records]:
    """Return the records in which something of a value set can stand; KeyError when there is none of that name."""
    if name == goals.CONCEPT:
        return frozenset({"goals"})
    listed = codes.value_set(name)
    systems = {code.system for code in listed.codes} - _OF_INSURANCE
    scopes = frozenset[str]().union(*(words.scopes for words in listed.words))
    return frozenset(r for r, read in _SCOPES.items() if systems - _FOREIGN.get(r, frozenset()) or scopes & read)
