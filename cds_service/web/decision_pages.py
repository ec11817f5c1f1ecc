"""What was recorded, for operators: search, one decision from request to feedback, and what became of all cards.

Nothing that a search asks for a patient stands in an address: it is posted, and compared as a pseudonym.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from markdown_it import MarkdownIt
from markupsafe import Markup

from cds_service.errors import UnusableInput
from cds_service.library import Library
from cds_service.policy.evaluate import Silence
from cds_service.settings import Settings
from cds_service.store.keys import load_keys
from cds_service.store.replay import of_card
from cds_service.web import json_http
from cds_service.web.operator_access import scope
from fhir_mappings import therapies

if TYPE_CHECKING:
    from cds_service.store.search import Wanted, Whole

OUTCOMES = ("met", "not-met", "undocumented")
_FILTERS = ("since", "until", "policy", "outcome", "therapy", "client", "id")
_LONGEST = 200
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable("image")


def blueprint(settings: Settings, library: Library, silence: Silence) -> Blueprint:
    """Return the endpoints over the store of these settings; who may call them is for a gate to say."""
    pages = Blueprint("decisions", __name__, template_folder="templates")
    pages.register_error_handler(UnusableInput, _unreadable)

    @pages.get("/decisions")
    def listing() -> Response:
        # a patient's id is looked for where it is posted, never where it would stand in an address
        return _list(settings, {name: value for name, value in request.args.items() if name != "patient"})

    @pages.post("/decisions")
    def look_up() -> Response:
        if not request.form.get("patient", "").strip():
            asked = {name: value for name in _FILTERS if (value := request.form.get(name, "").strip())}
            return _redirected(f"{url_for('decisions.listing')}{'?' if asked else ''}{urlencode(asked)}")
        return _list(settings, request.form)

    @pages.get("/decisions/feedback")
    def feedback() -> Response:
        from cds_service.store import feedback_report, reading

        if scope() is not None:
            return _problem(403, "Not for clients", "What became of all cards is shown to operators only.")
        with reading.opened(settings) as connection:
            found = feedback_report.report(connection)
        rows = sorted(found.tallies.items(), key=lambda item: (item[0][0], item[0][1] or ""))
        return _answer("decision_feedback.html", {}, report=found, rows=rows)

    @pages.get("/decisions/<record_id>")
    def decision(record_id: str) -> Response:
        from cds_service.store import reading, search  # as in ``questionnaires``

        with reading.opened(settings) as connection:
            found = search.whole(connection, load_keys(settings), settings, record_id)
        if found is None or scope() not in {None, found.record["client"]}:
            return _problem(404, "No such decision", "No record has this id, or it was deleted with its retention.")
        again = [
            list(of_card(told, secret, library, silence))
            for told, secret in zip(found.record["cards"], found.secrets, strict=True)
        ]
        return _answer("decision.html", _whole_json(found, again), found=found, again=again)

    return pages


def _list(settings: Settings, asked: Mapping[str, str]) -> Response:
    from cds_service.store import reading, search  # as in ``questionnaires``

    wanted, wrong = _wanted(asked)
    page = int(asked["page"]) if asked.get("page", "").isdecimal() and len(asked["page"]) < 6 else 0
    with reading.opened(settings) as connection:
        keys = load_keys(settings)
        found = search.find(connection, keys, wanted, page)
        clients = [name for name in search.clients(connection) if name] if scope() is None else []
        policies = search.policies(connection) if scope() is None else []
        waiting = search.waiting(settings, keys)
    body = {"decisions": found.records, "page": page, "more": found.more, "waitingInJournal": waiting}
    return _answer(
        "decisions.html",
        body,
        400 if wrong else 200,
        found=found,
        asked={name: asked.get(name, "")[:_LONGEST] for name in (*_FILTERS, "patient")},
        wrong=wrong,
        page=page,
        clients=clients,
        policies=policies,
        therapies=sorted(therapies.ids()),
        outcomes=OUTCOMES,
        waiting=waiting,
        told=_told,
        link=lambda number: _link(asked, number),
    )


def _told(cards: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], int]]:
    """Return the cards of one call that a line tells apart, in their order, each with how many read the same."""
    found: dict[tuple[object, ...], list[Mapping[str, Any]]] = {}
    for card in cards:
        policy = (card.get("policy") or {}).get("id")
        found.setdefault((card.get("outcome"), card.get("therapy"), policy, card.get("elsewhere")), []).append(card)
    return [(same[0], len(same)) for same in found.values()]


def _wanted(asked: Mapping[str, str]) -> tuple[Wanted, str]:
    """Return what is looked for, and what is wrong with it, in a sentence."""
    from cds_service.store.search import Wanted

    given = {name: asked.get(name, "").strip()[:_LONGEST] for name in (*_FILTERS, "patient")}
    days: dict[str, datetime.date | None] = {"since": None, "until": None}
    wrong = ""
    for name in days:
        try:
            days[name] = datetime.date.fromisoformat(given[name]) if given[name] else None
        except ValueError:
            wrong = f"The date under “{name}” is not one; a date is written like 2026-11-20. It is left out."
    own = scope()
    wanted = Wanted(
        since=days["since"],
        until=days["until"],
        policy=given["policy"],
        outcome=given["outcome"],
        therapy=given["therapy"],
        client=own if own is not None else given["client"] or None,
        patient=given["patient"],
        id=given["id"],
    )
    return wanted, wrong


def _link(asked: Mapping[str, str], page: int) -> str:
    kept = {name: asked[name] for name in _FILTERS if asked.get(name)}
    return f"{url_for('decisions.listing')}?{urlencode({**kept, 'page': page})}"


def _answer(template: str, body: Mapping[str, Any], status: int = 200, **values: object) -> Response:
    """Return a page, or for programs its JSON."""
    if body and _wants_json():
        return json_http.write(body, status)
    html = render_template(
        template, therapy_name=_therapy_name, rendered=_rendered, moment=_moment, own=scope() is not None, **values
    )
    return make_response(html, status)


def _problem(status: int, title: str, text: str) -> Response:
    if _wants_json():
        return json_http.write({"error": title, "text": text}, status)
    return make_response(render_template("told.html", title=title, text=text), status)


def _unreadable(error: UnusableInput) -> Response:
    return _problem(503, "The records cannot be read", f"What was said: {error}")


def _wants_json() -> bool:
    """Whether a program asks: one that prefers JSON, or shows a token and does not ask for a page."""
    preferred = request.accept_mimetypes
    if scope() is not None:
        return preferred["application/json"] >= preferred["text/html"]
    return preferred["application/json"] > preferred["text/html"]


def _redirected(target: str) -> Response:
    answer: Response = redirect(target, 303)  # type: ignore[assignment]
    return answer


def _whole_json(found: Whole, again: list[list[str]]) -> dict[str, Any]:
    cards = [
        {
            "uuid": told["uuid"],
            "card": secret["card"] if secret else None,
            "feedback": [{name: getattr(one, name) for name in one.__slots__} for one in on_card],
            "replay": sentences,
        }
        for told, secret, on_card, sentences in zip(
            found.record["cards"], found.secrets, found.told, again, strict=True
        )
    ]
    place = found.place
    written = {"chain": place.chain, "seq": place.seq, "hash": place.hash, "intact": place.intact} if place else None
    return {"decision": found.record, "cards": cards, "writtenTo": "database" if place else "journal", "place": written}


def _therapy_name(therapy: str) -> str:
    return therapies.display_name(therapy) if therapy in therapies.ids() else therapy


def _rendered(markdown: str) -> Markup:
    """Return a card's Markdown as HTML; HTML in it stays text, and addresses that could run something are no links."""
    return Markup(_MARKDOWN.render(markdown))  # noqa: S704 - the renderer escapes everything that is not its own


def _moment(text: str) -> str:
    """Return a time in UTC as people read it: 2026-11-20 09:30:00."""
    return text[:19].replace("T", " ")
