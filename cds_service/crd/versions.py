"""The versions of Da Vinci CRD that are spoken, and what differs between them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from cds_service.errors import Unprocessable

Version = Literal["2.0", "2.1", "2.2"]
VERSIONS: tuple[Version, ...] = get_args(Version)
"""2.0.1, 2.1.0 and 2.2.1, as ``davinci-crd.version`` names them."""

REQUESTED = "davinci-crd.requestedVersion"
TEMPORARY = "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"
"""The code system of everything in 2.0 and 2.1, and of the reasons in 2.2."""

_PATCH = re.compile(r"(\d+\.\d+)\.\d+")


def chosen(extension: Mapping[str, Any], default: Version) -> Version:
    """Return the version that a request's extension asks for. Raises Unprocessable (422) for one not spoken."""
    asked = extension.get(REQUESTED)
    if asked is None:
        return default
    short = _PATCH.sub(r"\1", asked) if isinstance(asked, str) else asked
    for version in VERSIONS:
        if version == short:
            return version
    path = f"extension.{REQUESTED}"
    raise Unprocessable(f"The member {path} asks for a version not spoken here; {_listed()} are.", path)


def topic_system(version: Version) -> str:
    """Return the code system of the card types."""
    return "http://terminology.hl7.org/CodeSystem/cdshooks-card-type" if version == "2.2" else TEMPORARY


def detail_system(version: Version) -> str:
    """Return the code system of the details of coverage information."""
    return "http://terminology.hl7.org/CodeSystem/crd-coverage-detail" if version == "2.2" else TEMPORARY


def associated(version: Version, reference: str) -> dict[str, Any]:
    """Return the card extension that names the order which a card is about."""
    named: list[Any] = [reference] if version == "2.0" else [{"reference": reference}]
    return {"davinci-crd.associated-resource": named}


def _listed() -> str:
    return ", ".join(VERSIONS[:-1]) + f" and {VERSIONS[-1]}"
