"""Takes FHIR Bundles apart, whatever shape they came in; nothing is validated here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def entries(bundle: Mapping[str, Any]) -> Sequence[object]:
    """Return a Bundle's entries; a single entry outside a list counts as one, anything else as one unreadable entry."""
    found = bundle.get("entry")
    if found is None:
        return ()
    return found if isinstance(found, list) else (found,)


def resources(bundle: Mapping[str, Any], depth: int = 1) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    """Yield every entry's number (from 1) and resource; None for an entry that holds no readable resource.

    A Bundle inside the Bundle is opened to the given depth, its resources under the number of its entry.
    """
    for number, entry in enumerate(entries(bundle), 1):
        resource: Any = entry.get("resource") if isinstance(entry, dict) else None
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(kind, str):
            yield number, None
        elif kind != "Bundle":
            yield number, resource
        elif depth:
            yield from ((number, inner) for _, inner in resources(resource, depth - 1))
        else:
            yield number, None


def named(value: object) -> Iterator[tuple[object, Mapping[str, Any]]]:
    """Yield the fullUrl (None when there is none) and resource of everything in a resource or Bundle."""
    if not isinstance(value, dict):
        return
    if value.get("resourceType") != "Bundle":
        yield None, value
        return
    for entry in entries(value):
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            yield entry.get("fullUrl"), entry["resource"]


def next_link(bundle: Mapping[str, Any]) -> str | None:
    """Return the URL of the Bundle's next page, if it says that there is one."""
    links = bundle.get("link")
    for link in links if isinstance(links, list) else [links]:
        if isinstance(link, dict) and link.get("relation") == "next" and isinstance(link.get("url"), str):
            return str(link["url"])
    return None


def is_failure(resource: Mapping[str, Any]) -> bool:
    """Whether a resource is an OperationOutcome that reports a failure, not just a hint."""
    if resource.get("resourceType") != "OperationOutcome":
        return False
    issues = resource.get("issue")
    found = [i.get("severity") for i in issues if isinstance(i, dict)] if isinstance(issues, list) else []
    return not found or any(severity not in ("warning", "information") for severity in found)
