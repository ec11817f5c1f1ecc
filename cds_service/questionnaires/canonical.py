"""The names of questionnaires: one for each policy and therapy, with a version (FHIR R4 canonical, ``url|version``)."""

from __future__ import annotations

from cds_service.policy.questions import questionnaire_id as questionnaire_id


def url(base_url: str, policy_id: str, therapy: str) -> str:
    """Return where the questionnaire is read, and its canonical URL without a version."""
    return f"{base_url.rstrip('/')}/fhir/Questionnaire/{questionnaire_id(policy_id, therapy)}"


def canonical(base_url: str, policy_id: str, therapy: str, version: str) -> str:
    """Return the canonical URL with its version."""
    return f"{url(base_url, policy_id, therapy)}|{version}"
