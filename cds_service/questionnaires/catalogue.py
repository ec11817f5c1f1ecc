"""The questionnaires of a library: by id, by version, by canonical URL, and by what a decision left undocumented."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cds_service.library import Library
from cds_service.policy.document import PolicyDocument
from cds_service.policy.outcome import Outcome
from cds_service.questionnaires import canonical
from cds_service.questionnaires.build import Edition, build, chosen, edition, part_of


@dataclass(frozen=True, slots=True)
class Held:
    """One questionnaire in one version."""

    edition: Edition
    version: str

    def resource(self, base_url: str) -> dict[str, Any]:
        """Return it as FHIR JSON."""
        return build(self.edition, self.version, base_url)

    @property
    def id(self) -> str:
        """Its FHIR id."""
        return canonical.questionnaire_id(self.edition.document.id, self.edition.therapy)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a recorded decision says that its questionnaire depends on."""

    policy: str
    effective_from: str
    therapy: str
    as_of: datetime.date
    outcomes: Mapping[str, str]
    """By criterion."""


class Catalogue:
    """Every questionnaire that a library's policies make, in every version that the library can still tell."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._editions: dict[str, tuple[Edition, ...]] = {}

    @cached_property
    def _named(self) -> Mapping[str, tuple[str, str]]:
        return {
            canonical.questionnaire_id(document.id, therapy): (document.id, therapy)
            for document in self._library.documents
            for therapy in sorted(document.therapies())
        }

    def ids(self) -> list[str]:
        """Return the ids of all questionnaires."""
        return sorted(name for name in self._named if self.editions(name))

    def editions(self, identity: str) -> tuple[Edition, ...]:
        """Return the editions of a questionnaire, oldest first; none when there is no such questionnaire."""
        if identity not in self._named:
            return ()
        if identity not in self._editions:
            self._editions[identity] = tuple(self._of(*self._named[identity]))
        return self._editions[identity]

    def find(self, identity: str, day: datetime.date, version: str | None = None) -> Held | None:
        """Return a questionnaire in a version; without one as it stands on a day, or first stood."""
        editions = self.editions(identity)
        if version is not None:
            return next((Held(e, version) for e in editions if chosen(e, version)), None)
        begun = [e for e in editions if e.from_day <= day] or list(editions[:1])
        return Held(begun[-1], begun[-1].version) if begun else None

    def by_canonical(self, stated: str, day: datetime.date, base_url: str | None) -> Held | None:
        """Return what a canonical URL names, ``url`` or ``url|version``; ``base_url`` as in ``is_served_at``."""
        url, _, version = stated.partition("|")
        place, _, identity = url.rpartition("/")
        if not place.endswith("/fhir/Questionnaire") or not canonical.is_served_at(stated, base_url):
            return None
        return self.find(identity, day, version or None)

    def by_pointer(self, text: str) -> Held | None:
        """Return what the pointer names that a text ends with, as coverage information does with its id."""
        found = canonical.pointed(text)
        edition = self._pointed_at.get(found[0]) if found else None
        if found is None or edition is None:
            return None
        version = f"{edition.version}{canonical.PART}{found[1]}" if found[1] else edition.version
        return Held(edition, version) if chosen(edition, version) else None

    @cached_property
    def _pointed_at(self) -> Mapping[str, Edition]:
        return {canonical.pointer(f"{name}|{e.version}"): e for name in self._named for e in self.editions(name)}

    def left_open(self, judged: Judged) -> Held | None:
        """Return the questions on what a decision left undocumented; None when no question settles any of it."""
        versions = self._library.versions(judged.policy)
        document = next((d for d in versions if d.effective_from.isoformat() == judged.effective_from), None)
        found = self.on(document, judged.therapy, judged.as_of) if document else None
        if found is None:
            return None
        version = part_of(found, _open(found, judged.outcomes))
        return Held(found, version) if version else None

    def on(self, document: PolicyDocument, therapy: str, day: datetime.date) -> Edition | None:
        """Return the edition of a policy's questions on a therapy on a day."""
        return edition(document, therapy, self._library.labels, day, self._followed_on(document))

    def _followed_on(self, document: PolicyDocument) -> datetime.date | None:
        later = [d.effective_from for d in self._library.versions(document.id)]
        return next((day for day in sorted(later) if day > document.effective_from), None)

    def _of(self, policy: str, therapy: str) -> Iterator[Edition]:
        label = self._library.labels.of(therapy)
        firsts = [version.first_day for version in label.versions] if label else []
        for document in self._library.versions(policy):
            end = self._followed_on(document) or datetime.date.max
            days = {document.effective_from, *(d for d in firsts if document.effective_from < d < end)}
            found = {e.version: e for day in sorted(days) if (e := self.on(document, therapy, day))}
            yield from found.values()


def _open(found: Edition, outcomes: Mapping[str, str]) -> Collection[str]:
    return {
        each.question.id
        for each in found.questions
        if any(outcomes.get(criterion.id) == Outcome.UNDOCUMENTED.value for criterion in each.criteria)
    }
