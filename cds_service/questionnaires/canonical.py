"""The names of questionnaires: one for each policy and therapy, with a version (FHIR R4 canonical, ``url|version``)."""

from __future__ import annotations

import hashlib
import re

from cds_service.policy.questions import questionnaire_id as questionnaire_id

PART = ".part-"
"""What stands in a version before the bits of the questions that a part holds."""
_DIGITS = 8
_POINTER = re.compile(rf"(?:.*-)?(?P<whole>[0-9a-f]{{{_DIGITS}}})(?:-(?P<bits>[0-9a-f]{{1,32}}))?")


def url(base_url: str, policy_id: str, therapy: str) -> str:
    """Return where the questionnaire is read, and its canonical URL without a version."""
    return f"{base_url.rstrip('/')}/fhir/Questionnaire/{questionnaire_id(policy_id, therapy)}"


def canonical(base_url: str, policy_id: str, therapy: str, version: str) -> str:
    """Return the canonical URL with its version."""
    return f"{url(base_url, policy_id, therapy)}|{version}"


def is_served_at(stated: str | None, base_url: str | None) -> bool:
    """Whether a response that states this canonical URL may answer a questionnaire of the service at ``base_url``.

    Without a public URL of its own (None) a service is reached by several, and the questionnaire's id decides alone.
    """
    return stated is None or base_url is None or stated.startswith(f"{base_url.rstrip('/')}/fhir/Questionnaire/")


def pointer(stated: str) -> str:
    """Return a short name of the questionnaire that a canonical URL with a version names, wherever it is served."""
    whole, _, bits = stated.rpartition("/")[2].partition(PART)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_DIGITS]
    return f"{digest}-{bits}" if bits else digest


def pointed(text: str) -> tuple[str, str] | None:
    """Return the name of a whole questionnaire, and the bits of a part of it, of the pointer that a text ends with."""
    found = _POINTER.fullmatch(text)
    return (found["whole"], found["bits"] or "") if found else None
