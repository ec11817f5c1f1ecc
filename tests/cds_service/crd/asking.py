"""Sample bundles and requests sent through the whole review, as an EHR that speaks Da Vinci CRD sends them."""

from __future__ import annotations

import datetime
import json
from functools import cache
from pathlib import Path
from typing import Any

from cds_service import hook_request, review
from cds_service.bundle_request import request_from
from cds_service.decision import Decision
from cds_service.settings import Settings

ROOT = Path(__file__).parents[3]
NAMES = sorted(path.stem for path in (ROOT / "sample_bundles").glob("*.json"))
TODAY = datetime.date(2026, 11, 20)
CASGEVY = "casgevy-sickle-cell-ready"
READY = "dli-ready"
LANTIDRA = "lantidra-one-hypoglycemia-event-only"
EXCLUDED = "lantidra-pregnant"


@cache
def _shipped() -> review.Services:
    return review.Services.load(Settings.load())


def services(**settings: Any) -> review.Services:
    """Return services over the shipped library, read once."""
    return review.Services(Settings.load(**settings), _shipped().library)


def bundle(name: str) -> Any:
    return json.loads((ROOT / "sample_bundles" / f"{name}.json").read_text(encoding="utf-8"))


def sample(name: str, hook: str = "order-sign", **extension: Any) -> dict[str, Any]:
    """Return the request of a sample bundle; ``extension``: members of davinci-crd, by their last word."""
    body = request_from(bundle(name), "0a1b2c3d-0000-4000-8000-000000000001")
    body["hook"] = hook
    if hook == "order-select":
        body["context"]["selections"] = [f"{o['resourceType']}/{o['id']}" for o in orders(body)]
    if extension:
        body["extension"] = {f"davinci-crd.{key}": value for key, value in extension.items()}
    return body


def captured(name: str) -> dict[str, Any]:
    """Return a request that a real client sent."""
    found: dict[str, Any] = json.loads((ROOT / "tests/requests" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def orders(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in body["context"]["draftOrders"]["entry"]]


def records(body: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in body["prefetch"][key]["entry"]]


def answer(
    body: dict[str, Any],
    today: datetime.date = TODAY,
    base_url: str = "http://127.0.0.1:8000",
    judged: list[Decision] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Return the answer to a request, which goes through JSON as it does over HTTP."""
    text = json.dumps(body).encode()
    asked = hook_request.read(json.loads(text), hook_request.HOOKS, text)
    note = (judged if judged is not None else []).append
    return review.answer(asked, services(**settings), today=today, base_url=base_url, judged=note)
