"""A criterion that points to a label, as the ordered product's label on the service date words and checks it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

from cds_service.policy.checks import AGE_LIMITS, All, Check
from cds_service.policy.document import Criterion, PolicyDocument
from cds_service.policy.finding import Finding
from cds_service.policy.label import Label, Labels, LabelSection, LabelVersion
from cds_service.policy.outcome import Outcome
from fhir_mappings.facts import Facts


@dataclass(frozen=True, slots=True)
class Labelled:
    """A criterion ready to be judged: its checks, its assumptions, and the finding where no check is needed."""

    criterion: Criterion
    assumptions: tuple[str, ...]
    """What is assumed in reading it, as sentences."""
    finding: Finding | None = None
    first_day: date | None = None
    """The first day of the label: what was attested before it was attested of another label."""


def labelled(criterion: Criterion, facts: Facts, document: PolicyDocument, labels: Labels) -> Labelled:
    """Return the criterion with the checks of the label section that it points to, if it points to one."""
    if criterion.from_label is None:
        return _as_written(document, criterion.id)
    label = labels.of(facts.order.therapy)
    version = label.on(facts.as_of) if label else None
    if label is None or version is None:
        written = _as_written(document, criterion.id)
        if criterion.checks():
            return written
        return replace(written, criterion=_naming(criterion, facts), finding=_open(_why_none(label, facts)))
    return _by(document, criterion.id, label, version, version.sections[criterion.from_label])


@lru_cache(maxsize=1024)  # the same for all orders; a library has some dozens of letters
def _as_written(document: PolicyDocument, letter: str) -> Labelled:
    criterion = document.criteria[letter]
    return Labelled(criterion, tuple(document.assumptions[name].text for name in criterion.assumes))


@lru_cache(maxsize=1024)  # the same for all orders of a product; all policies and labels make about 200 of them
def _by(document: PolicyDocument, letter: str, label: Label, version: LabelVersion, section: LabelSection) -> Labelled:
    """Return a letter of a policy with the checks of a section of a version of a label."""
    written = _as_written(document, letter)
    if section.missing:
        return replace(written, finding=_open(f"The label on record does not tell: {section.text}"))
    assumed = [label.assumptions[name].text for name in (section.rule.assumes if section.rule else ())]
    if not section.is_verified:
        assumed.append(f"The {section.name} of the label is {section.verified}.")
    without = section.rule is None and not written.criterion.checks()
    return Labelled(
        _with_section(written.criterion, section, version),
        (*written.assumptions, *assumed),
        Finding(Outcome.MET, section.text) if without else None,
        version.first_day,
    )


def boxed_warnings(facts: Facts, labels: Labels) -> tuple[str, ...]:
    """Return a notice for each boxed warning of the label in force."""
    label = labels.of(facts.order.therapy)
    version = label.on(facts.as_of) if label else None
    if version is None:
        return ()
    return tuple(
        f"boxed warning: {w.text}" + (" (from memory, not verified)" if w.verified.startswith("unverified") else "")
        for w in version.boxed_warnings
    )


def age_fits(facts: Facts, labels: Labels) -> bool:
    """Whether no age limit of the label in force excludes the patient; a label that says nothing excludes nobody."""
    label = labels.of(facts.order.therapy)
    version = label.on(facts.as_of) if label else None
    rule = version.sections["indication"].rule if version else None
    limits = [limit for check in (rule.checks() if rule else ()) for limit in _age_limits(check)]
    return all(limit.evaluate(facts).outcome is not Outcome.NOT_MET for limit in limits)


def _age_limits(check: Check) -> Iterator[Check]:
    """Yield the age limits that hold whatever else is so: those that are not one of several alternatives."""
    if isinstance(check, AGE_LIMITS):
        yield check
    if isinstance(check, All):
        for part in check.checks:
            yield from _age_limits(part)


def _naming(criterion: Criterion, facts: Facts) -> Criterion:
    if not _is_unnamed(facts):
        return criterion
    return replace(criterion, settled_by="The product named in the order, by a code of its own or by its name.")


def _is_unnamed(facts: Facts) -> bool:
    return facts.order.approval is not None and facts.order.approval.state == "unidentified"


def _why_none(label: Label | None, facts: Facts) -> str:
    if _is_unnamed(facts):
        return "The order does not say which product it is; no label can be looked up."
    if label is None:
        return "This library holds no label of the ordered product."
    return f"The label on record begins on {label.versions[0].first_day}, after the service date ({facts.as_of})."


def _open(reason: str) -> Finding:
    return Finding(Outcome.UNDOCUMENTED, reason)


def _with_section(criterion: Criterion, section: LabelSection, version: LabelVersion) -> Criterion:
    words = f"{criterion.text} Label from {version.first_day}: {section.text}"
    if section.rule is None:
        return replace(criterion, text=words)
    return replace(
        criterion,
        text=words,
        settled_by=section.rule.settled_by or criterion.settled_by,
        met_when=section.rule.met_when,
        excluded_when=section.rule.excluded_when,
        review_when=section.rule.review_when,
        silence=section.rule.silence,
    )
