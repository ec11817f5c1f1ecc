"""Judging recorded facts again, under the policy that was in force or another library's, and what then differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from cds_service.library import Library
from cds_service.policy.evaluate import Silence, evaluate
from cds_service.store.records import facts_of
from fhir_mappings.facts import Facts

NOT_STORED = "its facts were not stored (store_facts = no), so it cannot be judged again"


def replay(
    record: Mapping[str, Any], secrets: list[dict[str, Any] | None], library: Library, silence: Silence
) -> Iterator[str]:
    """Yield sentences on each card of a record: what would be different now, or why it cannot be told."""
    if not record["cards"]:
        yield f"record {record['id']} has no card: no order concerned a policy."
    for told, secret in zip(record["cards"], secrets, strict=True):
        for sentence in of_card(told, secret, library, silence):
            yield f"card {told['uuid']}: {sentence}."


def of_card(
    told: Mapping[str, Any], secret: dict[str, Any] | None, library: Library, silence: Silence
) -> Iterator[str]:
    """Yield sentences on one card, without its name: what would be different now, or why it cannot be told."""
    if secret is None:
        yield "it cannot be decrypted with the keys that are configured"
    elif "policy" not in told:
        yield "another document governed, or it assessed nothing; there is no policy to judge by"
    elif (facts := facts_of(orjson.dumps(secret))) is None:
        yield NOT_STORED
    else:
        yield from _judged(told, facts, secret, library, silence)


def _judged(
    told: Mapping[str, Any], facts: Facts, secret: Mapping[str, Any], library: Library, silence: Silence
) -> Iterator[str]:
    name = told["policy"]["id"]
    begun = [d for d in library.versions(name) if d.effective_from <= facts.as_of]
    if not begun or begun[-1].section_for(facts.order.therapy) is None:
        yield f"this library has no {name} that judges {facts.order.therapy} on {facts.as_of}"
        return
    document = begun[-1]
    then = told["policy"]["revision"]
    if document.revision != then:
        yield f"{name} from {document.effective_from} is revision {document.revision}, then it was {then}"
    assessment = evaluate(document, facts, secret["line"], silence, library.labels)
    now = {result.id: result.outcome.value for result in assessment.results}
    was = {criterion["id"]: criterion["outcome"] for criterion in told.get("criteria", [])}
    different = [key for key in dict.fromkeys([*was, *now]) if was.get(key) != now.get(key)]
    for key in different:
        yield f"{key} was {was.get(key, 'no criterion')}, is now {now.get(key, 'no criterion')}"
    if told["outcome"] != assessment.outcome.value:
        yield f"the outcome was {told['outcome']}, is now {assessment.outcome.value}"
    elif not different:
        yield f"the same under {name} from {document.effective_from}: {told['outcome']}"
