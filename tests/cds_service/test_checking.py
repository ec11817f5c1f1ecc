"""Checking files of every kind: what is right is counted, what is wrong is named, one message for each file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cds_service.checking import Checked, check_files
from cds_service.library import LABELS, PAYERS, POLICIES
from cds_service.policy.errors import PolicyError

SAMPLES = Path(__file__).parents[2] / "sample_bundles"
CENTRES = "centres:\n  - {npi: 1111111111, product: exagamglogene, from: 2025-01-01, source: A list}\n"
CSV = "npi,product,from,source\n1111111111,exagamglogene,2025-01-01,A list\n"


def check(*paths: Path) -> Checked:
    return check_files(paths, PAYERS)


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


def test_everything_that_ships_is_right() -> None:
    right, problems = check(POLICIES, LABELS, PAYERS, SAMPLES / "treatment_centres.csv")
    assert problems == []
    assert right["policy"] == 5
    assert right["label"] == len(list(LABELS.glob("*.yaml")))
    assert (right["list of payers"], right["registry of treatment centres"]) == (1, 1)


def test_a_file_is_checked_by_what_it_is(tmp_path: Path) -> None:
    written(tmp_path, a_yaml=CENTRES, b_csv=CSV, c_yaml=PAYERS.read_text(), d_yml=CENTRES, e_txt="neither")
    found = check(*(p for p in sorted(tmp_path.iterdir()) if p.suffix != ".txt"))
    assert found == (Counter({"registry of treatment centres": 3, "list of payers": 1}), [])


def test_a_folder_is_checked_for_its_yaml_files(tmp_path: Path) -> None:
    written(tmp_path, a_yaml=CENTRES, b_csv="wrong", d_yml=CENTRES, e_txt="wrong")
    assert check(tmp_path) == (Counter({"registry of treatment centres": 2}), [])


def test_a_folder_without_such_files_is_a_problem(tmp_path: Path) -> None:
    found = check(written(tmp_path, a_txt="policy: P1"))
    assert found.problems == [f"{tmp_path}: there is no file to check. Policies end with .yaml or .yml."]


def test_the_first_problem_of_each_file_is_named_and_the_others_are_still_checked(tmp_path: Path) -> None:
    written(
        tmp_path,
        a_yaml=CENTRES.replace("exagamglogene", "nothing"),
        b_yaml="product: exagamglogene\n",
        c_yaml="policy: P1\n",
        d_yaml="payers: [{}]\n",
        e_yaml="- a list\n",
        f_yaml="",
        g_yaml=CENTRES,
    )
    right, problems = check(tmp_path)
    assert right == Counter({"registry of treatment centres": 1})
    assert [problem.removeprefix(f"{tmp_path}/") for problem in problems] == [
        "a.yaml:2: `nothing` is no product of the registry. Use its id, for example as `policies` prints it.",
        "b.yaml:1: `versions` is missing. Add `versions:`.",
        "c.yaml:1: `title` is missing. Add `title:`.",
        "d.yaml:1: `id` is missing. Add `id:`.",
        "e.yaml:1: found a list where a mapping is needed. Write `key: value` lines.",
        "f.yaml:1: the file is empty. Begin with `policy:` and the policy's id.",
    ]


def test_a_file_that_is_not_a_kind_of_its_own_is_taken_for_a_policy(tmp_path: Path) -> None:
    written(tmp_path, a_yaml="something: else\n")
    [problem] = check(tmp_path).problems
    assert problem.startswith(f"{tmp_path / 'a.yaml'}:1: `something` is not known here.")


def test_an_empty_mapping_is_no_policy(tmp_path: Path) -> None:
    written(tmp_path, a_yaml="{}\n")
    assert check(tmp_path).problems == [f"{tmp_path / 'a.yaml'}:1: `policy` is missing. Add `policy:`."]


def test_a_table_is_a_registry_of_centres_whatever_stands_in_it(tmp_path: Path) -> None:
    path = written(tmp_path, a_csv="policy,title\n") / "a.csv"
    [problem] = check(path).problems
    assert ":1: the column policy is not known." in problem


def test_policies_that_contradict_each_other_are_a_problem_of_the_library(tmp_path: Path) -> None:
    text = next(POLICIES.glob("CP.MP.250*.yaml")).read_text(encoding="utf-8")
    written(tmp_path, a_yaml=text, b_yaml=text.replace("policy: CP.MP.250", "policy: CP.MP.251"))
    right, problems = check(tmp_path)
    assert right["policy"] == 2
    [problem] = problems
    assert "both govern donislecel for centene" in problem


def test_a_path_that_leads_nowhere_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"nowhere: there is no such file or folder\."):
        check(tmp_path / "nowhere")


def test_a_list_of_payers_that_is_wrong_makes_every_check_impossible(tmp_path: Path) -> None:
    payers = written(tmp_path, payers_yaml="payers: 1\n") / "payers.yaml"
    with pytest.raises(PolicyError):
        check_files([POLICIES], payers)
