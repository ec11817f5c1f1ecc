"""The library loads whole or not at all, and says which file is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service import library
from cds_service.files import text_of, yaml_files
from cds_service.library import load_library, load_payers, policy_schema
from cds_service.policy.errors import PolicyError
from fhir_mappings.facts import Coding

POLICY = """\
policy: P1
title: A policy
payer: acme
citation: Policy P1
effective: {from: 2025-10-01}
therapies: donislecel
requires: A
criteria:
  A: {label: ill, text: Ill., settled_by: Illness., met_when: {recorded: {kind: current, value_set: type-1-diabetes}}}
"""

NAIC = 'identifiers: [{system: naic, value: "12345"}]'
ACME = "payers:\n  - {id: acme, label: Acme, names: [Acme]}\n"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "P1.yaml").write_text(POLICY, encoding="utf-8")
    return folder


@pytest.fixture
def payers(tmp_path: Path) -> Path:
    path = tmp_path / "payers.yaml"
    path.write_text(ACME, encoding="utf-8")
    return path


def problem(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as raised:
        load_payers(path)
    return str(raised.value).replace(str(path), "payers.yaml")


class TestLibrary:
    def test_the_shipped_library_loads(self) -> None:
        found = load_library()
        assert [d.id for d in found.documents] == ["CP.MP.101", "CP.MP.250", "MA-IMMUNO", "THP-ISLET", "WNC.CP.299"]
        assert {d.payer for d in found.documents} <= set(found.payers.by_id)

    def test_a_deployment_brings_its_own(self, policies: Path, payers: Path) -> None:
        found = load_library(policies, payers)
        assert [d.id for d in found.documents] == ["P1"]
        assert found.payer_name("acme") == "Acme"

    def test_versions_come_oldest_first_whatever_their_file_is_called(self, policies: Path, payers: Path) -> None:
        (policies / "A.yml").write_text(POLICY.replace("2025-10-01", "2026-10-01"), encoding="utf-8")
        found = load_library(policies, payers)
        assert [str(d.effective_from) for d in found.versions("p1")] == ["2025-10-01", "2026-10-01"]
        assert found.versions("P2") == ()

    def test_the_router_is_over_its_documents(self, policies: Path, payers: Path) -> None:
        found = load_library(policies, payers)
        assert found.router is found.router
        assert found.router.documents == found.documents

    def test_two_documents_open_on_one_day_stop_the_start(self, policies: Path, payers: Path) -> None:
        (policies / "P2.yaml").write_text(POLICY.replace("policy: P1", "policy: P2"), encoding="utf-8")
        with pytest.raises(PolicyError, match=r"P2\.yaml: P2 and P1 both govern donislecel for acme"):
            load_library(policies, payers)

    def test_one_number_under_two_payers_stops_the_start(self, policies: Path, payers: Path) -> None:
        payers.write_text(ACME + "  - {id: beta, label: Beta, names: [Beta]}\n", encoding="utf-8")
        (policies / "P2.yaml").write_text(POLICY.replace("payer: acme", "payer: beta"), encoding="utf-8")
        with pytest.raises(PolicyError, match=r"P1 is a policy of beta here and of acme in .*P1\.yaml"):
            load_library(policies, payers)

    def test_a_folder_without_a_policy_stops_the_start(self, policies: Path, payers: Path) -> None:
        (policies / "P1.yaml").rename(policies / "P1.yaml.old")
        with pytest.raises(PolicyError, match=r"policies: there is no policy file\. A folder of policies"):
            load_library(policies, payers)

    def test_a_bad_document_stops_the_start(self, policies: Path, payers: Path) -> None:
        (policies / "P2.yaml").write_text("policy: [", encoding="utf-8")
        with pytest.raises(PolicyError, match=r"P2\.yaml:1: this is not YAML"):
            load_library(policies, payers)

    def test_a_policy_of_an_unknown_payer_stops_the_start(self, policies: Path) -> None:
        with pytest.raises(PolicyError, match="`acme` is not a known payer"):
            load_library(policies)


class TestFiles:
    def test_a_folder_gives_its_yaml_files_by_name(self, policies: Path) -> None:
        for name in ("b.yml", "a.yaml", "c.YAML", "README.md", "policy.schema.json"):
            (policies / name).write_text("", encoding="utf-8")
        assert [p.name for p in yaml_files([policies])] == ["P1.yaml", "a.yaml", "b.yml", "c.YAML"]

    def test_a_file_gives_itself(self, policies: Path) -> None:
        assert yaml_files([policies / "P1.yaml"]) == [policies / "P1.yaml"]

    def test_what_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(PolicyError, match="nowhere: there is no such file or folder"):
            yaml_files([tmp_path / "nowhere"])

    def test_what_is_no_text_is_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "P.yaml"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(PolicyError, match=r"P\.yaml: it cannot be read \(UnicodeDecodeError\)\. Save it as UTF-8"):
            text_of(path)


class TestPayers:
    def test_everything_about_a_payer_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "payers.yaml"
        path.write_text(
            ACME
            + "  - id: child\n    label: Child\n    names: [Child, Kid]\n    parent: acme\n    verified: printed\n"
            + "    identifiers: [{system: naic, value: '00123'}]\n",
            encoding="utf-8",
        )
        child = load_payers(path).by_id["child"]
        assert (child.names, child.parent, child.verified) == (("Child", "Kid"), "acme", "printed")
        assert child.identifiers == (Coding("naic", "00123"),)

    def test_the_shipped_payers_say_how_they_are_known(self) -> None:
        found = load_payers(library.PAYERS).by_id
        assert set(found) == {"centene", "wellcare-nc", "the-health-plan", "regence"}
        assert all(payer.verified for payer in found.values())
        assert found["wellcare-nc"].parent == "centene"
        assert "inferred" in found["regence"].verified

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "payers.yaml:1: the file is empty."),
            ("payer: []\n", "payers.yaml:1: `payer` is not known here. Did you mean `payers`?"),
            (ACME + "  - {id: acme, label: B, names: [B]}\n", "payers.yaml:3: the payer acme is given twice."),
            (ACME + "  - {id: b, label: B}\n", "payers.yaml:3: `names` is missing."),
            (
                ACME + "  - {id: b, label: B, names: [B], parent: acne}\n",
                "payers.yaml:3: `acne` is not a known payer (a parent stands before its children). Did you mean",
            ),
            (
                ACME + "  - {id: b, label: B, names: [B], identifiers: [{system: naic}]}\n",
                "payers.yaml:3: `value` is missing.",
            ),
            (
                ACME + "  - {id: b, label: B, names: ['ACME, Inc.']}\n",
                "payers.yaml:3: `acme` leads to acme as well as to b. Give it to one of them.",
            ),
            (
                "payers:\n" + "".join(f"  - {{id: {p}, label: {p}, names: [{p}], {NAIC}}}\n" for p in "ab"),
                "payers.yaml:3: `12345` leads to a as well as to b.",
            ),
            ("payers:\n  - acme\n", "payers.yaml:2: found `acme` where a mapping is needed."),
        ],
    )
    def test_a_bad_file_is_told_what_is_wrong(self, tmp_path: Path, text: str, message: str) -> None:
        assert problem(tmp_path / "payers.yaml", text).startswith(message)


def test_the_schema_knows_the_names_of_the_library_and_of_a_deployment() -> None:
    found = policy_schema(["acme"])
    assert "acme" in found["properties"]["payer"]["enum"]
    assert "centene" in found["properties"]["payer"]["enum"]
    assert "type-1-diabetes" in found["$defs"]["value_set"]["enum"]
    assert {"donislecel", "car-t-products"} <= set(found["$defs"]["therapy"]["enum"])
