import json
from typing import Any

import pytest

from cds_service import hook_request
from cds_service.errors import NotAHookRequest, RequestError, Unprocessable, WrongHook, WrongPatient
from cds_service.hook_request import HookRequest
from tests.cds_service.examples import bundle, context, hook_body, resource

HOOKS = ("order-sign", "order-select")


def read(body: object) -> HookRequest:
    return hook_request.read(body, HOOKS)


def test_a_whole_request_is_read() -> None:
    order = resource("ServiceRequest", "s1")
    body = hook_body(
        hook="order-select",
        context=context(draftOrders=bundle(order), encounterId="e1", selections=["ServiceRequest/s1"]),
        prefetch={"patient": None},
        fhirServer="https://ehr.example.org/fhir",
        fhirAuthorization={"access_token": "secret", "patient": "p1"},
        extension={"x": {"y": 1}},
    )

    request = read(body)

    assert request == HookRequest(
        hook="order-select",
        hook_instance=body["hookInstance"],
        patient_id="p1",
        draft_orders=(order,),
        user_id="Practitioner/example",
        encounter_id="e1",
        selections=("ServiceRequest/s1",),
        prefetch={"patient": None},
        fhir_server="https://ehr.example.org/fhir",
        access_token="secret",  # noqa: S106 - a made-up one
        token_patient="p1",  # noqa: S106 - an id
        extension={"x": {"y": 1}},
    )


@pytest.mark.parametrize("body", [[], "text", 1, None, [hook_body()]])
def test_what_is_no_object_is_no_request(body: object) -> None:
    with pytest.raises(NotAHookRequest, match="not a JSON object"):
        read(body)


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        (hook_body(hook=None), "hook"),
        (hook_body(hook=1), "hook"),
        (hook_body(hook=" "), "hook"),
        (hook_body(hookInstance=None), "hookInstance"),
        (hook_body(hookInstance=["x"]), "hookInstance"),
        (hook_body(context=None), "context"),
        (hook_body(context=[]), "context"),
        (hook_body(context=context(patientId=None)), "context.patientId"),
        (hook_body(context=context(patientId=7)), "context.patientId"),
        (hook_body(context=context(patientId="")), "context.patientId"),
        (hook_body(context=context(draftOrders=None)), "context.draftOrders"),
        (hook_body(context=context(draftOrders=[])), "context.draftOrders"),
        (hook_body(context=context(draftOrders=resource("ServiceRequest", "s1"))), "context.draftOrders"),
    ],
)
def test_what_cannot_be_done_without_is_demanded_by_name(body: object, expression: str) -> None:
    with pytest.raises(NotAHookRequest, match=expression.replace(".", r"\.")) as caught:
        read(body)

    assert caught.value.expression == expression
    assert caught.value.status == 400


def test_a_hook_of_another_service_is_refused() -> None:
    with pytest.raises(WrongHook, match="order-select or order-sign was expected"):
        read(hook_body(hook="patient-view"))


@pytest.mark.parametrize("sent", ["Patient/p1", "https://ehr.example.org/fhir/Patient/p1", "Patient/p1/_history/2"])
def test_a_reference_for_the_patient_id_is_understood_with_a_notice(sent: str) -> None:
    request = read(hook_body(context=context(patientId=sent)))

    assert request.patient_id == "p1"
    assert request.notices == ("context.patientId was sent as a reference; a plain id was expected",)


@pytest.mark.parametrize("sent", ["..", "p1&x=y", "p1?_id=2", "p 1", "Group/1", "p1\n", "x" * 200, "p1,p2", "p%31"])
def test_a_patient_id_that_would_mean_more_in_a_url_is_unprocessable(sent: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        read(hook_body(context=context(patientId=sent)))

    assert caught.value.status == 422


def test_unknown_members_are_ignored() -> None:
    request = read(hook_body(qwertyuiopasdfgh=1, context=context(zxcvbnm={"a": []})))

    assert request.notices == ()


@pytest.mark.parametrize(
    ("members", "notice"),
    [
        ({"prefetch": []}, "prefetch was not used: it is not an object"),
        ({"prefetch": "x"}, "prefetch was not used: it is not an object"),
        ({"extension": 3}, "extension was not used: it is not an object"),
        ({"fhirServer": 3}, "fhirServer was not used: it is not a text"),
        ({"fhirAuthorization": "x"}, "fhirAuthorization was not used: it is not an object"),
        ({"fhirAuthorization": {"access_token": 1}}, "fhirAuthorization.access_token was not used: it is not a text"),
        (
            {"hook": "order-select", "context": context(selections="x")},
            "context.selections was not used: it is not a list",
        ),
        (
            {"hook": "order-select", "context": context(selections=[1, "", "ServiceRequest/s1"])},
            "context.selections has entries",
        ),
        ({"context": context(userId=1)}, "context.userId was not used"),
        ({"context": context(draftOrders={"entry": "x"})}, "1 of the entries of context.draftOrders"),
    ],
)
def test_the_rest_may_be_odd_and_is_then_noticed(members: dict[str, Any], notice: str) -> None:
    request = read(hook_body(**members))

    assert len(request.notices) == 1
    assert request.notices[0].startswith(notice)


@pytest.mark.parametrize(
    ("members", "notice"),
    [
        (
            {"patient": "p1", "context": context(patientId=None)},
            "context.patientId is missing; patient, where the drafts of CDS Hooks 1.0 had it, was read in its place",
        ),
        (
            {"patient": "Patient/p1", "context": context(patientId=None)},
            "context.patientId is missing; patient, where the drafts of CDS Hooks 1.0 had it, was read in its place",
        ),
        (
            {"context": context(draftOrders=None, orders=bundle(resource("MedicationRequest", "order-1")))},
            "context.draftOrders is missing; context.orders, as CDS Hooks 1.0 has it, was read in its place",
        ),
        (
            {"context": context(encounterId="Encounter/e1")},
            "context.encounterId was sent as a reference; a plain id was expected",
        ),
    ],
)
def test_what_stands_where_it_stood_before_is_found_with_a_notice(members: dict[str, Any], notice: str) -> None:
    request = read(hook_body(**members))

    assert request.notices == (notice,)
    assert request.patient_id == "p1"
    assert [order["id"] for order in request.draft_orders] == ["order-1"]
    assert request.encounter_id in {None, "e1"}


@pytest.mark.parametrize("sent", ["p1", "Patient/p1", 7, {"id": "p2"}, None, ""])
def test_a_patient_at_the_root_that_is_ours_or_no_text_says_nothing(sent: object) -> None:
    assert read(hook_body() | {"patient": sent}) == read(hook_body())


@pytest.mark.parametrize("sent", ["p2", "Patient/p2"])
def test_a_patient_at_the_root_who_is_another_is_refused(sent: str) -> None:
    with pytest.raises(WrongPatient, match=r"The member patient names another patient than context\.patientId"):
        read(hook_body(patient=sent))


@pytest.mark.parametrize(("sent", "status"), [("", 400), (" ", 400), ("p 1", 422), (7, 400), (None, 400)])
def test_a_patient_at_the_root_has_to_be_an_id_too(sent: object, status: int) -> None:
    with pytest.raises(RequestError) as caught:
        read(hook_body(context=context(patientId=None)) | {"patient": sent})

    assert caught.value.status == status


def test_an_empty_token_is_no_token() -> None:
    request = read(hook_body(fhirServer="", fhirAuthorization={"access_token": ""}))

    assert request.access_token is None
    assert request.fhir_server is None
    assert request.notices == ()


def test_null_members_count_as_absent() -> None:
    body = hook_body() | {"prefetch": None, "fhirServer": None, "fhirAuthorization": None, "extension": None}

    assert read(body) == read(hook_body())


@pytest.mark.parametrize("orders", [{}, {"resourceType": "Bundle"}, {"resourceType": "Bundle", "entry": []}])
def test_no_orders_is_a_request_about_nothing(orders: object) -> None:
    assert read(hook_body(context=context(draftOrders=orders))).draft_orders == ()


def test_a_single_entry_outside_a_list_is_an_order() -> None:
    order = resource("ServiceRequest", "s1")

    assert read(hook_body(context=context(draftOrders={"entry": {"resource": order}}))).draft_orders == (order,)


def test_unreadable_entries_are_counted_and_the_others_stand() -> None:
    order = resource("ServiceRequest", "s1")
    entries = [1, {}, {"resource": {"id": "x"}}, {"resource": {"resourceType": 3}}, {"resource": order}]

    request = read(hook_body(context=context(draftOrders={"resourceType": "Bundle", "entry": entries})))

    assert request.draft_orders == (order,)
    assert request.notices == ("4 of the entries of context.draftOrders could not be read as a resource",)


@pytest.mark.parametrize(
    "reference",
    ["Patient/p2", "https://ehr.example.org/fhir/Patient/p2", "Patient/p2/_history/1", "urn:uuid:5"],
)
@pytest.mark.parametrize("member", ["subject", "patient"])
def test_an_order_for_another_patient_is_refused(reference: str, member: str) -> None:
    other = {"fullUrl": "urn:uuid:5", "resource": {"resourceType": "Patient", "id": "p2"}}
    order = {"resource": {"resourceType": "VisionPrescription", "id": "s1", member: {"reference": reference}}}
    entries = [order, other] if reference.startswith("urn:") else [order]

    place = r"Patient in context\.draftOrders entry 2" if other in entries else r"VisionPrescription in .* entry 1"
    with pytest.raises(WrongPatient, match=place) as caught:
        read(hook_body(context=context(draftOrders={"entry": entries})))

    assert "p2" not in str(caught.value)


@pytest.mark.parametrize(
    "about",
    [None, "Patient/p1", {"display": "x"}, {"reference": 1}, {"reference": "urn:uuid:p1"}, {"reference": "urn:uuid:9"}],
)
def test_an_order_that_does_not_say_for_whom_is_kept(about: object) -> None:
    order = {"resourceType": "ServiceRequest", "id": "s1", "subject": about}

    assert read(hook_body(context=context(draftOrders=bundle(order)))).draft_orders == (order,)


@pytest.mark.parametrize("token_patient", ["p2", "Patient/p2"])
def test_a_token_for_another_patient_is_refused(token_patient: str) -> None:
    with pytest.raises(WrongPatient, match="access token"):
        read(hook_body(fhirAuthorization={"patient": token_patient}))


def test_the_representation_holds_nothing_of_the_patient() -> None:
    body = hook_body(
        context=context(patientId="canary", draftOrders=bundle(resource("ServiceRequest", "canary", "canary"))),
        prefetch={"patient": {"resourceType": "Patient", "id": "canary"}},
        fhirServer="https://canary.example.org",
        fhirAuthorization={"access_token": "canary", "patient": "canary"},
        extension={"canary": "canary"},
    )

    assert "canary" not in repr(read(body))


@pytest.mark.parametrize("junk", [[], {}, 0, -1.5, True, "\x00", None, [[]], {"resourceType": []}])
@pytest.mark.parametrize("path", [[], ["context"], ["context", "draftOrders"], ["context", "draftOrders", "entry", 0]])
def test_junk_anywhere_is_answered_with_a_request_error_or_read(junk: object, path: list[Any]) -> None:
    members = ["hook", "patientId", "entry", "resource", "fhirAuthorization", "draftOrders", "prefetch", "fullUrl"]
    for member in members:
        body = json.loads(json.dumps(hook_body()))
        holder = body
        for step in path:
            holder = holder[step]
        holder[member] = junk
        try:
            assert isinstance(read(body), HookRequest)
        except RequestError as error:
            assert error.status in {400, 422}  # noqa: PT017 - either outcome is right
