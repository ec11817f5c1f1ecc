"""The registry of therapies as people read it: a list that can be searched, and one page for each."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cds_service.library import Library
from cds_service.web import registry
from cds_service.web.policy_pages import page, problem


def add(pages: Blueprint, library: Library) -> None:
    """Add the pages of the therapies."""

    @pages.get("/therapies")
    def therapies() -> Response:
        every = registry.entries(library)
        wanted = _wanted()
        found = [entry for entry in every if entry in wanted]
        kinds = sorted({entry.kind for entry in every if entry.kind}, key=str.casefold)
        ids = list(dict.fromkeys(document.id for document in library.documents))
        return page(
            "therapies.html",
            library,
            entries=found,
            total=len(every),
            wanted=wanted,
            kinds=kinds,
            policy_ids=ids,
            states=registry.STATES,
        )

    @pages.get("/therapies/<therapy>")
    def therapy(therapy: str) -> Response:
        try:
            found = registry.detail(library, therapy)
        except KeyError:
            return problem(library, 404, "No such therapy", "The registry holds no therapy of that name.")
        return page("therapy.html", library, detail=found, states=registry.STATES, is_verified=registry.verified)


def _wanted() -> registry.Wanted:
    asked = request.args
    return registry.Wanted(
        words=asked.get("q", "").strip()[:200],
        state=asked.get("state", ""),
        kind=asked.get("class", ""),
        policy=asked.get("policy", ""),
        unverified=asked.get("unverified") == "yes",
    )
