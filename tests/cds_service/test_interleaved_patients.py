"""S10: thousands of requests for many patients at once; no answer holds anything of another patient's."""

from __future__ import annotations

import json
import random
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cds_service import create_app
from cds_service.settings import Settings
from tests.calling import post
from tests.cds_service.examples import bundle, context, hook_body, resource
from tests.waiting import unhurried

REQUESTS = 10_000
THREADS = 32
PATIENTS = 100
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
MARK = re.compile(rb"canary-(\d+)")


def of(patient: int, foreign: int | None = None) -> bytes:
    """Return a request whose every id and text is marked with its patient; perhaps with one foreign record."""
    mark = f"canary-{patient}"

    def record(kind: str, whose: str = mark, **members: Any) -> dict[str, Any]:
        return resource(kind, f"{mark}-{kind.lower()}", whose, **members)

    diabetes = {"coding": [{"system": ICD, "code": "E10.9", "display": mark}], "text": mark}
    order = record("MedicationRequest", status="draft", intent="order")
    order["medicationCodeableConcept"] = {"text": f"Lantidra {mark}"}
    records = [record("Condition", code=diabetes, recordedDate="2020-01-01")]
    if foreign is not None:
        records.append(resource("Condition", "one-more", f"canary-{foreign}", code=diabetes))
    body = hook_body(
        hookInstance=mark,
        context=context(patientId=mark, userId=f"Practitioner/{mark}", draftOrders=bundle(order)),
        prefetch={
            "patient": {"resourceType": "Patient", "id": mark, "birthDate": "1980-01-01", "name": [{"text": mark}]},
            "conditions": bundle(*records),
            "coverage": bundle(record("Coverage", status="active", payor=[{"display": _payer(patient)}])),
        },
    )
    return json.dumps(body).encode()


def _payer(patient: int) -> str:
    """Return a payer whose card has every criterion with its evidence for some, and a short card for most."""
    return "Regence" if patient % 4 else "Centene"


@pytest.fixture
def _threads_take_turns_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.001)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def _threads_are_not_traced() -> Iterator[None]:
    """Let these requests, which go where many tests go, not be slowed down by the measurement of coverage."""
    before = threading.gettrace()
    threading.settrace(None)
    yield
    threading.settrace(before)


@pytest.mark.usefixtures("_threads_take_turns_often", "_threads_are_not_traced")
def test_no_answer_holds_anything_of_another_patients(tmp_path: Path) -> None:
    app = create_app(unhurried(Settings.load(data_dir=tmp_path, log_level="CRITICAL", max_at_once=THREADS)))
    sound = {patient: of(patient) for patient in range(PATIENTS)}
    mixed = {patient: of(patient, (patient + 1) % PATIENTS) for patient in range(PATIENTS)}
    turns = [(n % PATIENTS, n // PATIENTS % 10 == 0) for n in range(REQUESTS)]
    random.Random(7).shuffle(turns)  # noqa: S311 - an order that can be repeated

    def call(turn: tuple[int, bool]) -> tuple[int, bool]:
        patient, is_mixed = turn
        answer = post(app, (mixed if is_mixed else sound)[patient])
        marks = {int(mark) for mark in MARK.findall(answer.body)}
        return answer.status, marks == (set() if is_mixed else {patient})

    with ThreadPoolExecutor(THREADS) as threads:
        found = Counter(threads.map(call, turns, chunksize=1))

    assert found == {(200, True): REQUESTS * 9 // 10, (400, True): REQUESTS // 10}
