"""Therapies as their pages show them: what they are, how orders name them, since when, and who covers them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cds_service.library import Library
from cds_service.policy.document import SECTIONS, PolicyDocument, SectionName
from cds_service.policy.label import Label, LabelSection, LabelVersion
from cds_service.policy.outline import Outline, outline
from cds_service.web.code_lists import Group, ShownSet, grouped, shown
from fhir_mappings import products, therapies
from fhir_mappings.facts import DateRange
from fhir_mappings.listings import is_verified
from fhir_mappings.products import Product

STATES = {
    "approved": "approved",
    "not-approved": "not approved",
    "undetermined": "approval not known",
    "none": "no product",
}
"""What is known of a therapy's approval, and how it is said."""

_KINDS = {
    "product": "Codes of the product",
    "ingredient": "Codes of an ingredient or brand name",
    "procedure": "Codes of a procedure",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One therapy in the list."""

    id: str
    title: str
    state: str
    kind: str
    product: Product | None
    label: Label | None
    policies: tuple[PolicyDocument, ...]
    """The documents, in every version, that judge it or send it elsewhere."""
    codes: tuple[Group, ...]

    @property
    def approved(self) -> str:
        """The day, month or year of the approval; empty where there is none."""
        return day_in_words(self.product.approved) if self.product and self.product.approved else ""

    @property
    def unverified(self) -> bool:
        """Whether a code or a section of the label could not be verified."""
        sections = [s for v in (self.label.versions if self.label else ()) for s in v.sections.values()]
        return not all(group.is_verified for group in self.codes) or not all(s.is_verified for s in sections)

    def holds(self, words: str) -> bool:
        """Whether every word stands in a name, a code, the class or the id."""
        names = (*self.product.names, *self.product.exact_names) if self.product else ()
        codes = [code for group in self.codes for code in group.codes]
        text = " ".join([self.id, self.title, self.kind, *names, *(c.code for c in codes)]).casefold()
        plain = text.replace("-", "").replace(".", "")
        return all(word in text or word in plain for word in words.casefold().split())


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader looks for; what is empty is not asked for."""

    words: str = ""
    state: str = ""
    kind: str = ""
    policy: str = ""
    unverified: bool = False

    def __contains__(self, entry: Entry) -> bool:
        return (
            entry.holds(self.words)
            and self.state in {"", entry.state}
            and self.kind in {"", entry.kind}
            and (not self.policy or self.policy in {document.id for document in entry.policies})
            and (entry.unverified or not self.unverified)
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """Something on the time line of a therapy."""

    day: str
    what: str
    version: LabelVersion | None = None


@dataclass(frozen=True, slots=True)
class SectionShown:
    """One section of a label version."""

    section: LabelSection
    checks: tuple[tuple[str, Outline], ...]
    assumptions: tuple[str, ...]
    changed: bool
    """Whether the version before said something else."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One therapy with everything that is known of it."""

    entry: Entry
    codes: Mapping[str, tuple[Group, ...]]
    """By how closely they name it."""
    moments: tuple[Moment, ...]
    versions: tuple[tuple[LabelVersion, tuple[SectionShown, ...]], ...] = ()
    """The label, newest first."""
    value_sets: tuple[ShownSet, ...] = ()
    shared: tuple[tuple[str, str], ...] = field(default=())
    """Names that it shares with other products, and what is then told."""


def entries(library: Library) -> tuple[Entry, ...]:
    """Return every therapy: the products by title, those that are none after them."""
    listed = [entry(library, one.id) for one in products.products()]
    others = [entry(library, name) for name in therapies.ids() if products.product(name) is None]
    order = list(STATES)
    return tuple(sorted([*listed, *others], key=lambda e: (order.index(e.state), e.title.casefold())))


def entry(library: Library, therapy: str) -> Entry:
    """Return one therapy. KeyError when there is none of that id."""
    one = products.product(therapy)
    return Entry(
        id=therapy,
        title=therapies.display_name(therapy),
        state=one.state if one else "none",
        kind=one.kind if one else "",
        product=one,
        label=library.labels.of(therapy),
        policies=tuple(d for d in library.documents if therapy in d.therapies()),
        codes=grouped(therapies.codes_of(therapy)),
    )


def detail(library: Library, therapy: str) -> Detail:
    """Return one therapy in full. KeyError when there is none of that id."""
    found = entry(library, therapy)
    shared = tuple(
        (name, one.notice) for one in products.registry()[1] if therapy in one.products for name in one.names
    )
    if found.label is None:
        return Detail(found, _by_kind(found), tuple(_moments(found)), shared=shared)
    label, before, versions = found.label, None, []
    for version in label.versions:
        versions.append((version, tuple(_section(version, name, label, before) for name in SECTIONS)))
        before = version
    names = {
        name
        for version in label.versions
        for section in version.sections.values()
        for check in (section.rule.checks() if section.rule else ())
        for name in check.value_sets()
    }
    sets = tuple(shown(name) for name in sorted(names))
    return Detail(found, _by_kind(found), tuple(_moments(found)), tuple(reversed(versions)), sets, shared)


def day_in_words(when: DateRange) -> str:
    """Return a day as it is known: whole, or only its month or year."""
    if when.first == when.last:
        return when.first.isoformat()
    same_month = (when.first.year, when.first.month) == (when.last.year, when.last.month)
    return when.first.strftime("%Y-%m") if same_month else str(when.first.year)


def verified(text: str) -> bool:
    """Whether a statement on how something is known says that it was checked against a source."""
    return is_verified(text)


def _by_kind(found: Entry) -> dict[str, tuple[Group, ...]]:
    if found.product is None:
        return {"Codes": found.codes} if found.codes else {}
    by_kind = {
        words: grouped(code.listed for code in found.product.codes if code.kind == kind)
        for kind, words in _KINDS.items()
    }
    return {words: groups for words, groups in by_kind.items() if groups}


def _moments(found: Entry) -> Iterable[Moment]:
    moments = []
    if found.approved:
        moments.append(Moment(found.approved, "Approved by the FDA"))
    for number, version in enumerate(found.label.versions if found.label else ()):
        told = "First label that the library holds" if number == 0 else "Label changed"
        moments.append(Moment(version.first_day.isoformat(), told, version))
    if found.product and found.product.discontinued:
        moments.append(Moment(found.product.discontinued, "No longer marketed"))
    seen: set[str] = set()
    for document in found.policies:
        does = "judges it" if document.section_for(found.id) else "sends it to another document"
        what = f"New version of {document.id}: it {does}" if document.id in seen else f"From here {document.id} {does}"
        seen.add(document.id)
        moments.append(Moment(document.effective_from.isoformat(), what))
    return sorted(moments, key=lambda moment: moment.day)


def _section(version: LabelVersion, name: SectionName, label: Label, before: LabelVersion | None) -> SectionShown:
    section = version.sections[name]
    earlier = before.sections[name] if before else None
    rule = section.rule
    pairs = (
        ("Met when", rule.met_when if rule else None),
        ("Not met when", rule.excluded_when if rule else None),
        ("For a reviewer when", rule.review_when if rule else None),
    )
    return SectionShown(
        section,
        tuple((word, outline(check)) for word, check in pairs if check is not None),
        tuple(label.assumptions[each].text for each in (rule.assumes if rule else ())),
        changed=earlier is not None and (earlier.text, earlier.rule) != (section.text, section.rule),
    )
