"""The questions on what an assessment leaves undocumented, with the canonical URL that names exactly them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from cds_service.policy.document import Assessment, Question
from cds_service.policy.label import Labels
from cds_service.policy.outcome import Outcome
from cds_service.questionnaires.build import version_of
from cds_service.questionnaires.canonical import canonical
from fhir_mappings.facts import Facts


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """What a person can settle."""

    canonical: str
    """The questionnaire with only these questions, ``url|version``."""
    questions: tuple[Question, ...]


def open_questions(assessment: Assessment | None, facts: Facts, labels: Labels, base_url: str) -> LeftOpen | None:
    """Return the questions that settle what an assessment left undocumented; None when there is none."""
    if assessment is None:
        return None
    document, therapy = assessment.document, facts.order.therapy
    results = [r for r in assessment.results if r.outcome is Outcome.UNDOCUMENTED and r.question]
    wanted = list(dict.fromkeys(r.question for r in results if r.question))
    if not wanted:
        return None
    version = version_of(document, therapy, labels, facts.as_of, wanted)
    if version is None:
        return None
    questions = tuple(document.questions[name] for name in wanted)
    return LeftOpen(canonical(base_url, document.id, therapy, version), questions)
