from cds_service.questionnaires.canonical import canonical, is_served_at, questionnaire_id, url


def test_a_questionnaire_is_named_for_its_policy_and_therapy() -> None:
    assert url("https://cds.example/", "CP.MP.250", "donislecel") == (
        "https://cds.example/fhir/Questionnaire/CP.MP.250-donislecel"
    )
    assert canonical("https://cds.example", "CP.MP.250", "donislecel", "2").endswith("CP.MP.250-donislecel|2")


def test_ids_hold_only_what_fhir_allows() -> None:
    assert questionnaire_id("WNC.CP.299", "onasemnogene_iv") == "WNC.CP.299-onasemnogene-iv"


def test_with_a_public_url_only_its_own_questionnaires_are_the_services() -> None:
    mine, other = "https://cds.example/fhir/Questionnaire/P-x|1", "https://other.example/fhir/Questionnaire/P-x|1"
    assert [is_served_at(stated, "https://cds.example/") for stated in (None, mine, other)] == [True, True, False]
    assert [is_served_at(stated, None) for stated in (None, mine, other)] == [True, True, True]
