"""From a request to its answer: triage, chart, facts, routing, evaluation, cards. Pure but for the chart."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from cds_service import fhir_client, logs, named_orders, prefetch
from cds_service.cards import questionnaire, render, suggestion
from cds_service.crd import versions
from cds_service.crd.answer import SELECTING, Asked
from cds_service.crd.assertion import Terms
from cds_service.deadline import Deadline
from cds_service.decision import Decision
from cds_service.errors import SettingsError
from cds_service.fhir_client import Reader
from cds_service.fhir_connections import Connections
from cds_service.hook_request import HookRequest
from cds_service.intake import IN_PART
from cds_service.library import Library, load_library
from cds_service.logs import log
from cds_service.policy.evaluate import evaluate, notices
from cds_service.policy.labelled import age_fits
from cds_service.policy.windows import months_before
from cds_service.questionnaires import canonical
from cds_service.questionnaires.left_open import open_questions
from cds_service.routing import Elsewhere, Selected, Selection, are_known
from cds_service.settings import PREFIX, Settings
from cds_service.trace import NOBODY, Trace
from cds_service.triage import triage
from fhir_mappings import attestations, products, therapies
from fhir_mappings.chart import ALWAYS_NEEDED, NOT_SENT, Chart, Resource
from fhir_mappings.extract import Record, facts, read_chart
from fhir_mappings.facts import DateRange, Facts, Order, Records
from fhir_mappings.orders import as_product

BESIDE_A_THERAPY = frozenset({"fertility-preservation", "medical-transport"})
"""Orders that only matter beside a cell or gene therapy, in the request or in the chart: given or planned."""
BESIDE_MONTHS = 12
"""How far the therapy may lie before the order, or ahead of it."""
BESIDE_RECORDS: frozenset[Records] = frozenset(
    {"procedures", "service-requests", "medication-requests", "medication-administrations"}
)
COVERAGE: frozenset[Records] = frozenset({"coverage"})
JUDGING = 0.5
"""Seconds of an answer that no fetching may take: for judging and writing, on a busy machine."""
ZONES = datetime.timedelta(days=1)
"""How far ahead of this service's day it may already be where an answer was given."""


def new_uuid() -> str:
    """Return a fresh random UUID: the identity of a card and of its decision."""
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class Services:
    """What answering needs besides the request."""

    settings: Settings
    library: Library
    new_id: Callable[[], str] = new_uuid
    connections: Connections = field(default_factory=Connections)
    """To the EHRs' FHIR servers; their circuit breakers hold for all requests of this process."""

    @classmethod
    def load(cls, settings: Settings) -> Services:
        """Read what the settings name. Raises PolicyError, SettingsError when a file of it is not right."""
        library = load_library(settings.policies, settings.payers, settings.centres)
        if unknown := sorted(set(settings.speaks_for) - library.payers.by_id.keys()):
            raise SettingsError(f"{PREFIX}SPEAKS_FOR: payers.yaml has no payer {', '.join(unknown)}; ids are wanted")
        return cls(settings, library, connections=Connections(ca=settings.fhir_ca))


def answer(
    request: HookRequest,
    services: Services,
    *,
    today: datetime.date,
    base_url: str = "http://127.0.0.1:8000",
    due: Deadline | None = None,
    judged: Callable[[Decision], object] = id,
    fhir_servers: Sequence[str] | None = None,
    smart: bool = False,
    trace: Trace = NOBODY,
) -> dict[str, Any]:
    """Return the CDS Hooks response, by the time that it is due (the setting's, from now, when not given).

    ``fhir_servers``: those that may be read for who asks, when not the setting's. ``smart``: who asks can launch SMART
    apps, and this service's form is registered there.
    Every card that assesses an order is handed to ``judged``, with the facts behind it; ``trace`` hears of each step.
    Raises RequestError (400 another patient's data, 412 nothing to go on).
    """
    settings = services.settings
    asked = Asked.by(request, settings.crd_version)
    due = due or Deadline.after(settings.answer_deadline)
    reader = fhir_client.connect(
        request.fhir_server,
        request.access_token,
        allowed=settings.fhir_servers if fhir_servers is None else fhir_servers,
        deadline=due.within(settings.fetch_deadline, reserve=JUDGING),
        connections=services.connections,
    )
    request, not_had = named_orders.gather(request, reader)
    found = triage(request, reader)
    trace.triaged(request, found)
    trace.reached("triage")
    failed = (*found.unread, *not_had)
    if found.unread:
        logs.note(drugs_not_read=[one.reason for one in found.unread])
    if not_had:
        logs.note(orders_not_read=[one.reason for one in not_had])
    context = render.Context(
        settings.base_url or base_url,
        services.new_id,
        therapies.display_name,
        services.library.payer_name,
        versions.topic_system(asked.version),
        services.library.override_reasons,
        asked.about if len(request.draft_orders) > 1 else render.no_extension,
        smart,
    )
    unread = [
        render.unidentified(one.order, one.reason, today, context, request.notices, drug=one.drug) for one in failed
    ]
    may_ask = request.hook != SELECTING
    as_sent = functools.cache(request.as_sent)  # one order is wanted for a task, for its code and for what is asserted
    decisions: list[Decision] = []
    cards: list[dict[str, Any]] = []
    if found.known and _worth_reading(request, found.known, services, reader, today):
        chart = prefetch.complete(request, needs(found.known, services.library), reader)
        trace.reached("chart")
        cards += review(
            chart,
            found.known,
            services,
            today,
            context,
            decisions.append,
            as_sent,
            may_ask=may_ask,
            trace=trace,
        )
    for decision in decisions:
        judged(decision)
    terms = Terms(context.base_url, settings.speaks_for, may_ask)
    actions = asked.actions(decisions, as_sent, request.fhir_server, today, terms)
    return asked.answer([*cards, *unread], actions, mirrored=settings.mirror_system_actions)


def _worth_reading(
    request: HookRequest, known: Sequence[Order], services: Services, reader: Reader | None, today: datetime.date
) -> bool:
    """Whether a chart is needed: an unlisted code alone matters only to a payer that covers every product.

    Who the payer is may not be known: then there is more to tell than nothing.
    """
    if any(order.therapy != products.UNIDENTIFIED for order in known):
        return True
    record = read_chart(prefetch.complete(request, COVERAGE, reader))
    return _has_failed(record, COVERAGE) or any(
        _governing(order, record, services.library, _day(order, today)) for order in known
    )


def needs(known: Sequence[Order], library: Library) -> frozenset[Records]:
    """Return the records that any policy for these orders asks for, with answers where a letter can be attested."""
    found = set(ALWAYS_NEEDED)
    for therapy in {therapy for order in known for therapy in (order.therapy, *order.alternatives)}:
        for document in library.router.judging(therapy):
            found |= document.records(therapy)
            if document.questions:
                found.add("questionnaire-responses")
            if label := library.labels.of(therapy):
                found |= label.records()
        if therapy in BESIDE_A_THERAPY:
            found |= BESIDE_RECORDS
    return frozenset(found)


def review(
    chart: Chart,
    known: Sequence[Order],
    services: Services,
    today: datetime.date,
    context: render.Context,
    judged: Callable[[Decision], object] = id,
    as_sent: Callable[[str], Resource | None] = lambda _: None,
    *,
    may_ask: bool = True,
    trace: Trace = NOBODY,
) -> Iterator[dict[str, Any]]:
    """Return the cards of a chart's orders: one per order and policy, in the order of the orders.

    ``as_sent``: an order by its reference as the EHR wrote it; without it, no changed order and no task is offered.
    ``may_ask``: whether a task to document something may be offered.
    """
    record = read_chart(chart)
    for order in known:
        day = _day(order, today)
        deciding = _deciding(order, known, record, services.library, day)
        if deciding:
            if _has_failed(record, deciding):
                yield render.undecided(order, record.missing, deciding, day, context)
            continue
        order = _fitting(order, record, services.library, day)
        found = facts(record, order, day)
        base_url, last = services.settings.base_url, max(day, today) + ZONES
        ours = [a for a in found.attestations if canonical.is_served_at(a.questionnaire, base_url)]
        centre = services.library.centres.standing(found.order, day)
        found = replace(found, centre=centre, attestations=tuple(attestations.until(last, ours)))
        trace.reached("facts")
        selections = _governing(order, record, services.library, day)
        trace.reached("routing")
        for selection in selections:
            decision = _decided(selection, found, services, context, trace)
            asked = open_questions(decision.assessment, found, services.library.labels, context.base_url)
            if asked:
                card = questionnaire.with_link(decision.card, asked.canonical, len(asked.questions), context)
                decision = replace(decision, card=card, questionnaire=asked.canonical)
            judged(decision)
            trace.reached("cards")
            yield decision.card
            if asked and may_ask and _is_the_members(selection):
                order_sent = as_sent(found.order.reference)
                if order_sent is not None:
                    yield questionnaire.task_offered(decision.card, order_sent, chart.patient_id, asked, today, context)
            yield from _code_offered(selection, found, as_sent, context)


def _is_the_members(selection: Selection) -> bool:
    return isinstance(selection, Selected) and selection.basis == "member-plan"


def _day(order: Order, today: datetime.date) -> datetime.date:
    return order.service_date.first if order.service_date else today


def _fitting(order: Order, record: Record, library: Library, day: datetime.date) -> Order:
    """Return the order as one for the first product that its name may mean and whose label may fit the patient."""
    if not order.alternatives:
        return order
    for therapy in (order.therapy, *order.alternatives):
        meant = as_product(order, therapy)
        if age_fits(facts(record, meant, day), library.labels):
            return meant
    return order


def _is_beside_a_therapy(known: Sequence[Order], record: Record, day: datetime.date) -> bool:
    counted = therapies.groups()["cell-and-gene-products"]
    if any(order.therapy in counted for order in known):
        return True
    concepts = {f"therapy:{therapy}" for therapy in counted}
    return any(
        statement.when is None or _is_near(statement.when, day)
        for statement in record.statements
        if not statement.concepts.isdisjoint(concepts)
    )


def _is_near(when: DateRange, day: datetime.date) -> bool:
    """Whether something may lie within the months before or after the day."""
    return months_before(day, BESIDE_MONTHS) <= when.last and months_before(when.first, BESIDE_MONTHS) <= day


def _deciding(
    order: Order, known: Sequence[Order], record: Record, library: Library, day: datetime.date
) -> frozenset[Records]:
    """Return the records that would have to show more before an order concerns a policy; none when it does."""
    if order.therapy == products.UNIDENTIFIED:
        return frozenset() if _governing(order, record, library, day) else COVERAGE
    if order.therapy not in BESIDE_A_THERAPY or _is_beside_a_therapy(known, record, day):
        return frozenset()
    return BESIDE_RECORDS if _governing(order, record, library, day) else frozenset()


def _has_failed(record: Record, deciding: frozenset[Records]) -> bool:
    """Whether one of the records was looked for in vain: more than that the EHR did not send it, or not all of it."""
    return any(record.missing.get(one, NOT_SENT) not in (NOT_SENT, IN_PART) for one in deciding)


def _governing(order: Order, record: Record, library: Library, day: datetime.date) -> Sequence[Selection]:
    all_known = are_known(record.missing, record.unreadable)
    selections = library.router.select(record.insurances, order.therapy, day, all_known=all_known)
    if order.therapy == products.UNIDENTIFIED:
        return [s for s in selections if isinstance(s, Selected) and s.basis == "member-plan"]
    if order.therapy in BESIDE_A_THERAPY:
        return [s for s in selections if isinstance(s, Selected)]
    return selections


def _decided(selection: Selection, found: Facts, services: Services, context: render.Context, trace: Trace) -> Decision:
    if isinstance(selection, Elsewhere):
        policy = selection.policy
        card = render.elsewhere(selection, found, notices(policy, found, selection.line) if policy else (), context)
        return Decision(card, found, selection.line, selection)
    library, silence = services.library, services.settings.silence
    try:
        assessment = evaluate(selection.document, found, selection.line, silence, library.labels)
    except Exception as error:  # a policy that fails must be seen on a card, whatever it raised
        log.error("policy failed", policy=selection.document.id, exc_info=error)
        logs.note(policy_failed=selection.document.id)
        return Decision(render.unchecked(selection, found, context), found, selection.line, selection)
    trace.reached("evaluation")
    card = render.assessed(selection, assessment, found, context)
    return Decision(card, found, selection.line, selection, assessment)


def _code_offered(
    selection: Selection, found: Facts, as_sent: Callable[[str], Resource | None], context: render.Context
) -> Iterator[dict[str, Any]]:
    """Yield a card that replaces an unlisted code by the product's own, where the policy asks for that."""
    asked = selection.document.product_code if isinstance(selection, Selected) else None
    product = products.product(found.order.therapy)
    if asked is None or product is None or not product.hcpcs or selection.payer is None:
        return
    order = as_sent(found.order.reference)
    changed = suggestion.with_code(order, asked.instead_of, product.hcpcs[0]) if order is not None else None
    if changed is not None:
        yield suggestion.product_code(
            changed, product.hcpcs[0], found.order.therapy, selection.brand or selection.payer.label, context
        )
