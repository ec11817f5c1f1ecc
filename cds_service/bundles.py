"""Takes FHIR Bundles apart, whatever shape they came in; nothing is validated here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple


def entries(bundle: Mapping[str, Any]) -> Sequence[object]:
    """Return a Bundle's entries; a single entry outside a list counts as one, anything else as one unreadable entry."""
    found = bundle.get("entry")
    if found is None:
        return ()
    return found if isinstance(found, list) else (found,)


Numbered = Sequence[tuple[int, Mapping[str, Any] | None]]
"""The number of each entry (from 1) and its resource, None when it holds none that can be read."""


class Held(NamedTuple):
    """What a Bundle holds, and the types of it."""

    resources: Numbered
    kinds: Set[str]


def held(bundle: Mapping[str, Any]) -> Held:
    """Return what a Bundle holds; a Bundle inside it is opened, its resources under the number of its entry."""
    inside: Any = entries(bundle)
    try:
        found = [entry["resource"] for entry in inside]
        kinds = {resource["resourceType"] for resource in found}
        is_usual = "Bundle" not in kinds and all(isinstance(kind, str) for kind in kinds)
    except (KeyError, TypeError):  # something else stands there than objects and texts
        is_usual = False
    if is_usual:
        return Held(list(enumerate(found, 1)), kinds)
    opened = list(_opened(inside, 1))
    return Held(opened, {resource["resourceType"] for _, resource in opened if resource is not None})


def _opened(inside: Sequence[object], depth: int) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    for number, entry in enumerate(inside, 1):
        resource: Any = entry.get("resource") if isinstance(entry, dict) else None
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(kind, str):
            yield number, None
        elif kind != "Bundle":
            yield number, resource
        elif depth:
            yield from ((number, inner) for _, inner in _opened(entries(resource), depth - 1))
        else:
            yield number, None


def of_list(resources: list[object]) -> dict[str, Any]:
    """Return as a Bundle what some clients send as a list of resources."""
    return {"resourceType": "Bundle", "entry": [{"resource": resource} for resource in resources]}


def named(value: object, depth: int = 1) -> Iterator[tuple[object, Mapping[str, Any]]]:
    """Yield the fullUrl (None when there is none) and resource of everything in a resource, a list of them or a Bundle.

    A Bundle inside is opened, but none inside that.
    """
    if isinstance(value, list):
        value = of_list(value)
    if not isinstance(value, dict):
        return
    if value.get("resourceType") != "Bundle":
        yield None, value
        return
    for entry in entries(value):
        if not isinstance(entry, dict) or not isinstance(resource := entry.get("resource"), dict):
            continue
        if resource.get("resourceType") != "Bundle":
            yield entry.get("fullUrl"), resource
        elif depth:
            yield from named(resource, depth - 1)


def next_link(bundle: Mapping[str, Any]) -> str | None:
    """Return the URL of the Bundle's next page, if it says that there is one."""
    links = bundle.get("link")
    for link in links if isinstance(links, list) else [links]:
        if isinstance(link, dict) and link.get("relation") == "next" and isinstance(link.get("url"), str):
            return str(link["url"])
    return None


def counts_more(bundle: Mapping[str, Any]) -> bool:
    """Whether a Bundle counts more matches than it holds; what came with the matches is none."""
    total = bundle.get("total")
    if not isinstance(total, int) or isinstance(total, bool):
        return False
    inside = entries(bundle)
    return total > len(inside) or total > sum(not _came_along(entry) for entry in inside)


def _came_along(entry: object) -> bool:
    search = entry.get("search") if isinstance(entry, dict) else None
    return isinstance(search, dict) and search.get("mode") in ("include", "outcome")


def is_failure(resource: Mapping[str, Any]) -> bool:
    """Whether a resource is an OperationOutcome that reports a failure, not just a hint."""
    if resource.get("resourceType") != "OperationOutcome":
        return False
    issues = resource.get("issue")
    found = [i.get("severity") for i in issues if isinstance(i, dict)] if isinstance(issues, list) else []
    return not found or any(severity not in ("warning", "information") for severity in found)
