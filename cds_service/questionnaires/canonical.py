"""The names of questionnaires: one for each policy and therapy, with a version (FHIR R4 canonical, ``url|version``)."""

from __future__ import annotations

from cds_service.policy.questions import questionnaire_id as questionnaire_id


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
