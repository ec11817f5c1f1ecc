"""Reading policy files: bad documents are told where they are wrong, what was found and what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from cds_service.policy.checks.check import Range
from cds_service.policy.checks.combine import All, Any, NoneOf
from cds_service.policy.checks.patient import AgeAtLeast
from cds_service.policy.checks.recorded import Recorded
from cds_service.policy.checks.result import LatestResult
from cds_service.policy.document import (
    LINES,
    AskedDate,
    AskedValue,
    Assumption,
    Conflict,
    Elsewhere,
    Joined,
    Letter,
    Lifted,
    Notice,
    PolicyDocument,
    PriorAuthorization,
    Question,
)
from cds_service.policy.errors import PolicyError
from cds_service.policy.load import check_library, load_document
from tests.cds_service.policy.documents import KNOWN, MINIMAL

FILE = "policies/P1.yaml"


def load(text: str = MINIMAL) -> PolicyDocument:
    return load_document(text, FILE, KNOWN)


def changed(old: str, new: str) -> str:
    assert old in MINIMAL
    return MINIMAL.replace(old, new)


def error(text: str) -> str:
    with pytest.raises(PolicyError) as raised:
        load(text)
    return str(raised.value)


CHECK = "{recorded: {kind: current, value_set: illness}}"
MET_WHEN = f"met_when: {CHECK}"


class TestWhatIsRead:
    def test_a_minimal_document(self) -> None:
        found = load()
        assert (found.id, found.title, found.payer) == ("P1", "A policy", "acme")
        assert found.citation == "Policy P1, last revised 07/25"
        assert (found.effective_from, found.file) == (date(2025, 10, 1), FILE)
        assert found.lines == frozenset(LINES)
        assert found.criteria["A"].met_when == Recorded(value_set=("illness",), kind="current")
        assert (found.criteria["A"].label, found.criteria["A"].text) == ("ill", "The member is ill.")

    def test_the_revision_changes_with_every_letter_of_the_text(self) -> None:
        assert re.fullmatch("[0-9a-f]{16}", load().revision)
        assert load().revision == load().revision
        assert load().revision != load(MINIMAL + "# a comment\n").revision

    def test_value_sets_keep_their_titles_for_the_reader(self) -> None:
        check = load(changed("value_set: illness", "value_set: [severe-illness, surgery]")).criteria["A"].met_when
        assert check is not None
        assert check.describe() == "severe illness or surgery is current"

    def test_texts_are_read_in_one_line(self) -> None:
        assert load(changed("The member is ill.", ">-\n      The member\n      is ill.")).criteria["A"].text == (
            "The member is ill."
        )

    def test_groups_of_therapies_are_read_as_their_members(self) -> None:
        found = load(changed("therapies: donislecel", "therapies: [car-t-products, donislecel]"))
        assert found.therapies() == {"axi-cel", "tisa-cel", "donislecel"}

    def test_the_logic(self) -> None:
        text = changed("requires: A", "requires: {all: [A, {any: [B, C]}]}")
        text += "".join(f"  {x}: {{label: x, text: x, settled_by: x, {MET_WHEN}}}\n" for x in "BC")
        logic = Joined("all", (Letter("A"), Joined("any", (Letter("B"), Letter("C")))))
        assert load(text).sections[0].requires == logic

    def test_sections_judge_different_therapies_by_different_letters(self) -> None:
        text = changed(
            "therapies: donislecel\nrequires: A\n",
            "sections: [{therapies: donislecel, requires: A}, {therapies: axi-cel, requires: {any: [A, B]}}]\n",
        )
        text += f"  B: {{label: x, text: x, settled_by: x, {MET_WHEN}}}\n"
        found = load(text)
        assert [c.id for c in found.applicable("donislecel")] == ["A"]
        assert [c.id for c in found.applicable("axi-cel")] == ["A", "B"]
        assert found.applicable("tisa-cel") == ()
        assert found.section_for("tisa-cel") is None
        assert found.records("donislecel") == {"conditions"}

    def test_a_document_may_only_send_elsewhere(self) -> None:
        text = MINIMAL.partition("therapies:")[0] + (
            "lines: [medicare]\n"
            "elsewhere:\n"
            "  - {document: D42, because: It says so., line: medicare, therapies: axi-cel}\n"
            "  - {document: D43}\n"
        )
        found = load(text)
        assert found.sections == ()
        assert found.lines == {"medicare"}
        assert found.therapies() == {"axi-cel"}
        assert found.elsewhere == (
            Elsewhere("D42", "It says so.", "medicare", frozenset({"axi-cel"})),
            Elsewhere("D43", "This policy sends such members to D43."),
        )

    def test_notices_and_conflicts_with_their_circumstances(self) -> None:
        found = load(
            MINIMAL
            + "notices:\n"
            + "  - For all.\n"
            + "  - {text: For some., line: medicaid, therapies: car-t-products, codes: [J3590], under_age: 21}\n"
            + "conflicts: [Here., {text: There., therapies: donislecel}]\n"
        )
        some = Notice("For some.", "medicaid", frozenset({"axi-cel", "tisa-cel"}), frozenset({"J3590"}), 21)
        assert found.notices == (Notice("For all."), some)
        assert found.conflicts == (Conflict("Here."), Conflict("There.", frozenset({"donislecel"})))

    def test_questions_and_assumptions(self) -> None:
        text = changed(MET_WHEN, f"{MET_WHEN}\n    question: q\n    assumes: [r, n]\n    silence: [conditions]")
        text = text.replace("met_when", "excluded_when").replace("kind: current", "kind: current, within_months: 12")
        text += "questions: {q: {text: Is it so, within_months: 6}}\n"
        text += "assumptions: {r: A reading., n: {text: A year., numbers: [12]}}\n"
        found = load(text)
        assert found.questions == {"q": Question("q", "Is it so", 6)}
        assert found.assumptions == {
            "r": Assumption("r", "A reading."),
            "n": Assumption("n", "A year.", frozenset({Decimal(12)})),
        }
        assert found.criteria["A"].silence == ("conditions",)
        assert found.criteria["A"].records == {"conditions"}

    def test_a_question_is_about_the_patient_unless_it_says_about_the_order(self) -> None:
        text = changed(MET_WHEN, f"{MET_WHEN}\n    question: q")
        assert load(text + "questions: {q: {text: Is it}}\n").questions["q"].about == "patient"
        assert load(text + "questions: {q: {text: Is it, about: order}}\n").questions["q"].about == "order"
        assert "`orders` is not a known thing to ask about" in error(
            text + "questions: {q: {text: Is it, about: orders}}"
        )

    def test_a_question_may_ask_for_a_day_and_a_number_after_a_yes(self) -> None:
        text = changed(MET_WHEN, f"{MET_WHEN}\n    question: q")
        more = 'date: {text: When, within_months: 3}, value: {text: How much, unit: "%"}'
        found = load(text + f"questions: {{q: {{text: Is it so, {more}}}}}\n").questions["q"]
        assert (found.date, found.value) == (AskedDate("When", 3), AskedValue("How much", "%"))
        short = load(text + "questions: {q: {text: Is it so, date: When}}\n").questions["q"]
        assert (short.date, short.value) == (AskedDate("When"), None)

    def test_a_question_may_have_no_limit(self) -> None:
        text = changed(MET_WHEN, f"{MET_WHEN}\n    question: q") + "questions: {q: {text: Is it so}}\n"
        assert load(text).questions["q"].within_months is None

    def test_whether_the_payer_is_asked_first_and_for_which_therapies(self) -> None:
        said = "prior_authorization: {needed: auth-needed, text: Ask first., therapies: car-t-products}\n"
        found = load(MINIMAL + said)
        assert found.prior_authorization == PriorAuthorization(
            "auth-needed", "Ask first.", frozenset({"axi-cel", "tisa-cel"})
        )
        assert found.authorization_of("axi-cel") == found.prior_authorization
        assert found.authorization_of("donislecel") is None

    def test_what_is_said_for_all_therapies_is_said_for_each(self) -> None:
        found = load(MINIMAL + "prior_authorization: {needed: no-auth, text: No need.}\n")
        assert found.authorization_of("donislecel") == PriorAuthorization("no-auth", "No need.")
        assert load(MINIMAL).authorization_of("donislecel") is None

    def test_for_whom_limits_may_be_lifted(self) -> None:
        assert load(MINIMAL + "lifted: {under_age: 21, text: A rule above.}\n").lifted == Lifted(21, "A rule above.")
        assert load(MINIMAL).lifted is None

    def test_a_criterion_that_excludes_is_told_from_one_that_requires(self) -> None:
        assert load(MINIMAL).criteria["A"].excludes is False
        assert load(MINIMAL.replace("met_when", "excluded_when")).criteria["A"].excludes is True

    def test_letters_that_are_not_evaluated_say_why(self) -> None:
        assert load(MINIMAL + "not_evaluated: {B: It repeats A.}\n").not_evaluated == {"B": "It repeats A."}

    def test_the_numbers_of_the_policy_are_read_exactly(self) -> None:
        found = load(changed(CHECK, "{age_at_least: 18}\n    printed: [18]"))
        assert found.criteria["A"].met_when == AgeAtLeast(years=18)
        assert found.criteria["A"].printed == {Decimal(18)}

    def test_checks_are_built_as_by_hand(self) -> None:
        text = changed(
            CHECK,
            """
      all:
        - any: [{order_is: surgery}, {order_says: {value_set: [surgery]}}]
        - none: [{attested: {}}]
        - latest_result: {value_set: illness, true_when: {above: 0.5}, false_when: [{at_most: 0.5}], within_days: 60}
    printed: [0.5, 60]
    question: q""",
        )
        check = load(text + "questions: {q: {text: Is it so}}\n").criteria["A"].met_when
        assert isinstance(check, All)
        first, second, third = check.checks
        assert isinstance(first, Any)
        assert isinstance(second, NoneOf)
        half = Decimal("0.5")
        expected = LatestResult(
            value_set=("illness",), true_when=Range(above=half), false_when=(Range(at_most=half),), within_days=60
        )
        assert third == expected

    def test_one_place_in_which_a_value_set_can_stand_is_enough(self) -> None:
        text = changed("kind: current, value_set: illness", "kind: ever, value_set: [illness, scan]")
        assert load(text).criteria["A"].records == {"conditions", "procedures"}

    def test_a_value_set_of_the_order_need_not_stand_in_the_chart(self) -> None:
        assert load(changed(CHECK, "{order_says: purpose}")).criteria["A"].value_sets == {"purpose"}

    def test_exceptions_inside_a_check(self) -> None:
        text = changed("value_set: illness", "value_set: illness, unless: {order_says: surgery}")
        check = load(text).criteria["A"].met_when
        assert isinstance(check, Recorded)
        assert check.unless is not None


EITHER = "a criterion either requires or excludes. Give `met_when`, or `excluded_when` and `review_when`."
UNEXPLAINED = (
    "is neither printed in the policy nor assumed. "
    "List it under `printed`, or in the `numbers` of an assumption that the criterion assumes."
)
PLACES = (
    "conditions, goals, medication-administrations, medication-requests, observations, procedures, service-requests"
)
OF_ELSE = "Its codes and words are of something else: name another value set or place."
LOOK_THERE = "Let a check look there, or take it out."

BAD = {
    "an empty file": ("", f"{FILE}:1: the file is empty. Begin with `policy:` and the policy's id."),
    "a comment alone": ("# nothing\n", f"{FILE}:1: the file is empty. Begin with `policy:` and the policy's id."),
    "nested too deep": (
        "policy: P1\ntitle: " + "[" * 300_000,
        f"{FILE}:2: this is nested more than 100 deep. No policy needs that.",
    ),
    "not YAML": ("policy: [P1\n", f"{FILE}:2: this is not YAML: expected ',' or ']', but got '<stream end>'."),
    "a list": ("- policy\n", f"{FILE}:1: found a list where a mapping is needed. Write `key: value` lines."),
    "an unknown key": (
        changed("citation:", "cittation:"),
        f"{FILE}:4: `cittation` is not known here. Did you mean `citation`?",
    ),
    "a missing key": (changed("payer: acme\n", ""), f"{FILE}:1: `payer` is missing. Add `payer:`."),
    "a key given twice": (
        changed("title: A policy\n", "title: A policy\ntitle: Again\n"),
        f"{FILE}:3: `title` is given twice (first on line 2). Keep one of them.",
    ),
    "a letter given twice": (
        MINIMAL + f"  A: {{label: x, text: x, settled_by: x, {MET_WHEN}}}\n",
        f"{FILE}:14: `A` is given twice (first on line 9). Keep one of them.",
    ),
    "an empty text": (changed("title: A policy", "title:"), f"{FILE}:2: found nothing where a text is needed."),
    "a mapping for a text": (
        changed("title: A policy", "title: {en: A policy}"),
        f"{FILE}:2: found a mapping where a text is needed.",
    ),
    "an unknown payer": (
        changed("payer: acme", "payer: acne"),
        f"{FILE}:3: `acne` is not a known payer. Did you mean `acme`?",
    ),
    "an unknown payer that resembles none": (
        changed("payer: acme", "payer: nobody"),
        f"{FILE}:3: `nobody` is not a known payer. Known here: acme, zenith.",
    ),
    "a day that does not exist": (
        changed("2025-10-01", "2025-02-30"),
        f"{FILE}:5: found `2025-02-30` where a date is needed. Write it as YYYY-MM-DD.",
    ),
    "an American date": (
        changed("2025-10-01", "10/01/2025"),
        f"{FILE}:5: found `10/01/2025` where a date is needed. Write it as YYYY-MM-DD.",
    ),
    "a month for a date": (
        changed("2025-10-01", "2025-10"),
        f"{FILE}:5: found `2025-10` where a date is needed. Write it as YYYY-MM-DD.",
    ),
    "an unknown therapy": (
        changed("therapies: donislecel", "therapies: donisleel"),
        f"{FILE}:6: `donisleel` is not a known therapy. Did you mean `donislecel`?",
    ),
    "therapies without logic": (
        changed("requires: A\n", ""),
        f"{FILE}:1: `therapies` and `requires` belong together. Give both, or `sections`.",
    ),
    "sections beside therapies and logic of the whole document, of which one would not count": (
        MINIMAL + "sections: [{therapies: axi-cel, requires: A}]\n",
        f"{FILE}:6: `therapies` stands beside `sections`. Move it into a section, or take one out.",
    ),
    "sections beside logic of the whole document": (
        changed("therapies: donislecel\n", "") + "sections: [{therapies: axi-cel, requires: A}]\n",
        f"{FILE}:6: `requires` stands beside `sections`. Move it into a section, or take one out.",
    ),
    "a therapy in two sections, of which only the first would judge it": (
        changed(
            "therapies: donislecel\nrequires: A\n",
            "sections:\n"
            "- {therapies: car-t-products, requires: A}\n"
            "- {therapies: [donislecel, axi-cel], requires: A}\n",
        ),
        f"{FILE}:8: axi-cel stands in two sections (first in the one on line 7). Keep it in one of them.",
    ),
    "logic of two kinds": (
        changed("requires: A", "requires: {all: [A], any: [A]}"),
        f"{FILE}:7: the logic must be a letter, `all: [...]` or `any: [...]`.",
    ),
    "logic that negates": (
        changed("requires: A", "requires: {none: [A]}"),
        f"{FILE}:7: the logic must be a letter, `all: [...]` or `any: [...]`.",
    ),
    "logic over nothing, which would always be met": (
        changed("requires: A", "requires: {all: []}"),
        f"{FILE}:7: the list is empty. Name at least one.",
    ),
    "an unknown line of business": (
        MINIMAL + "lines: [medicair]\n",
        f"{FILE}:14: `medicair` is not a known line of business. Did you mean `medicare`?",
    ),
    "an unknown key of a criterion": (
        changed(MET_WHEN, "met_wen: {}"),
        f"{FILE}:13: A: `met_wen` is not known here. Did you mean `met_when`?",
    ),
    "a criterion without a check": (
        changed(f"    {MET_WHEN}\n", ""),
        f"{FILE}:10: A: {EITHER}",
    ),
    "a criterion that requires and excludes": (
        changed(MET_WHEN, f"{MET_WHEN}\n    excluded_when: {CHECK}"),
        f"{FILE}:10: A: {EITHER}",
    ),
    "a requirement met by silence": (
        changed(MET_WHEN, f"{MET_WHEN}\n    silence: [conditions]"),
        f"{FILE}:14: A: a criterion that requires something cannot be met by silence. Leave it out.",
    ),
    "an unknown kind of record": (
        changed(MET_WHEN, f"excluded_when: {CHECK}\n    silence: [condition]"),
        f"{FILE}:14: A: `condition` is not a known kind of record. Did you mean `conditions`?",
    ),
    "an unknown check": (
        changed("{recorded:", "{recorder:"),
        f"{FILE}:13: A: `recorder` is not a check of the vocabulary. Did you mean `recorded`?",
    ),
    "an unknown option of a check": (
        changed("kind: current", "kind: current, within: 12"),
        f"{FILE}:13: A: `within` is not known here. Did you mean `within_days`?",
    ),
    "a missing option of a check": (
        changed("kind: current, ", ""),
        f"{FILE}:13: A: `kind` is missing. Add `kind:`.",
    ),
    "an unknown value of an option": (
        changed("kind: current", "kind: curent"),
        f"{FILE}:13: A: `curent` is not a known value of `kind`. Did you mean `current`?",
    ),
    "an unknown value set": (
        changed("value_set: illness", "value_set: ilness"),
        f"{FILE}:13: A: `ilness` is not a known value set. Did you mean `illness`?",
    ),
    "an unknown value set that resembles none": (
        changed("value_set: illness", "value_set: xyz"),
        f"{FILE}:13: A: `xyz` is not a known value set. Known here: illness, purpose, scan, severe-illness, surgery.",
    ),
    "a check of no value set": (
        changed("value_set: illness", "value_set: []"),
        f"{FILE}:13: A: the list is empty. Name at least one.",
    ),
    "all of no checks, which would always be true": (
        changed(CHECK, "{all: []}"),
        f"{FILE}:13: A: the list is empty. Name at least one.",
    ),
    "two checks in one mapping": (
        changed(CHECK, "{order_is: surgery, order_says: surgery}"),
        f"{FILE}:13: A: found 2 checks in one mapping. Write one, or join them with `all` or `any`.",
    ),
    "no check in a mapping": (
        changed(CHECK, "{}"),
        f"{FILE}:13: A: found 0 checks in one mapping. Write one, or join them with `all` or `any`.",
    ),
    "a text for a check": (
        changed(CHECK, "illness"),
        f"{FILE}:13: A: found `illness` where a mapping is needed. Write `key: value` lines.",
    ),
    "a word for a number": (
        changed(CHECK, "{age_at_least: eighteen}"),
        f"{FILE}:13: A: found `eighteen` where a number is needed.",
    ),
    "an endless number": (
        changed(CHECK, "{age_at_least: .inf}"),
        f"{FILE}:13: A: found `.inf` where a number is needed.",
    ),
    "infinity": (
        changed(CHECK, "{age_at_least: Infinity}"),
        f"{FILE}:13: A: found `Infinity` where a number is needed.",
    ),
    "half a count": (
        changed(CHECK, "{age_at_least: 18.5}"),
        f"{FILE}:13: A: found `18.5` where a whole number of 1 or more is needed.",
    ),
    "a count of none": (
        changed(CHECK, "{age_at_least: 0}"),
        f"{FILE}:13: A: found `0` where a whole number of 1 or more is needed.",
    ),
    "a window that the kind does not know": (
        changed("kind: current", "kind: event, around_days: 30"),
        f"{FILE}:13: A: `around_days` does not count for this `kind`. It counts for `planned`.",
    ),
    "a window of what counts at any time": (
        changed("kind: current", "kind: ever, within_months: 12"),
        f"{FILE}:13: A: `within_months` does not count for this `kind`. It counts for `event` or `current`.",
    ),
    "a look-back of a plan": (
        changed("kind: current", "kind: planned, within_days: 30"),
        f"{FILE}:13: A: `within_days` does not count for this `kind`. It counts for `event` or `current`.",
    ),
    "a window in months and in days": (
        changed("kind: current", "kind: event, within_months: 12, within_days: 30"),
        f"{FILE}:13: A: `within_days` stands beside `within_months`. Give one of them.",
    ),
    "a result's age in months and in days": (
        changed(
            CHECK, "{latest_result: {value_set: illness, true_when: {above: 1}, within_days: 3, within_months: 1}}"
        ),
        f"{FILE}:13: A: `within_days` stands beside `within_months`. Give one of them.",
    ),
    "a status's age in months and in days": (
        changed(CHECK, "{status_now: {value_set: illness, opposite: surgery, within_days: 3, within_months: 1}}"),
        f"{FILE}:13: A: `within_days` stands beside `within_months`. Give one of them.",
    ),
    "several dates of what holds now": (
        changed("kind: current", "kind: current, on_dates: 2"),
        f"{FILE}:13: A: `on_dates` does not count for this `kind`. It counts for `event` or `ever`.",
    ),
    "a place that holds no findings": (
        changed("kind: current", "kind: current, places: [patient]"),
        f"{FILE}:13: A: `patient` is not a known place of findings. Known here: {PLACES}.",
    ),
    "a value set that cannot stand where the kind looks": (
        changed("value_set: illness", "value_set: [illness, scan]"),
        f"{FILE}:13: A: nothing of `scan` can stand in `conditions`, where this looks. {OF_ELSE}",
    ),
    "a value set that cannot stand in the places": (
        changed("value_set: illness", "value_set: scan, places: [conditions, service-requests]"),
        f"{FILE}:13: A: nothing of `scan` can stand in `conditions` or `service-requests`, where this looks. {OF_ELSE}",
    ),
    "a value set that cannot be a drug": (
        changed(CHECK, "{medication: {value_set: scan}}"),
        f"{FILE}:13: A: nothing of `scan` can stand in `medication-requests`, where this looks. {OF_ELSE}",
    ),
    "a value set that stands nowhere in a chart": (
        changed("value_set: illness", "value_set: purpose"),
        f"{FILE}:13: A: nothing of `purpose` can stand in `conditions`, where this looks. {OF_ELSE}",
    ),
    "a range that ends before it begins": (
        changed(CHECK, "{latest_result: {value_set: illness, true_when: {at_least: 10, at_most: 3}}}"),
        f"{FILE}:13: A: no number lies in this range. Its lower bound must lie below its upper one.",
    ),
    "a range without a bound": (
        changed(CHECK, "{latest_result: {value_set: illness, true_when: {}}}"),
        f"{FILE}:13: A: a range needs a bound. Give at_least, above, below or at_most.",
    ),
    "a list for a text": (
        changed("label: ill", "label: [ill]"),
        f"{FILE}:10: A: found a list where a text is needed.",
    ),
    # the laws of a document
    "a letter of the logic that is no criterion": (
        changed("requires: A", "requires: {all: [A, B]}"),
        f"{FILE}:1: B: the logic names B, which is no criterion. Add it under `criteria`.",
    ),
    "a criterion in no logic": (
        MINIMAL + f"  B: {{label: x, text: x, settled_by: x, {MET_WHEN}}}\n",
        f"{FILE}:14: B: the criterion is in no logic. Name it in `requires`, or move it to `not_evaluated`.",
    ),
    "a criterion that is listed as not evaluated": (
        MINIMAL + "not_evaluated: {A: Because.}\n",
        f"{FILE}:9: A: the criterion is evaluated and listed as not evaluated. Keep one of them.",
    ),
    "a letter twice in the logic": (
        changed("requires: A", "requires: {all: [A, A]}"),
        f"{FILE}:9: A: the logic names A twice. Keep one of them.",
    ),
    "silence of a record in which no check looks, so that what stands there would be called absent": (
        changed(MET_WHEN, f"excluded_when: {CHECK}\n    silence: [conditions, procedures]"),
        f"{FILE}:9: A: `silence` names procedures, in which no check of the criterion looks. {LOOK_THERE}",
    ),
    "a number neither printed nor assumed": (
        changed("kind: current", "kind: current, within_months: 12"),
        f"{FILE}:9: A: the number 12 {UNEXPLAINED}",
    ),
    "a number inside an exception": (
        changed(
            "value_set: illness",
            "value_set: illness, unless: {recorded: {kind: event, value_set: surgery, within_days: 3}}",
        ),
        f"{FILE}:9: A: the number 3 {UNEXPLAINED}",
    ),
    "a printed number that no check uses": (
        changed(MET_WHEN, f"{MET_WHEN}\n    printed: [18]"),
        f"{FILE}:9: A: `printed` lists 18, which no check uses. Take it out.",
    ),
    "an assumption that nobody makes": (
        MINIMAL + "assumptions: {r: A reading.}\n",
        f"{FILE}:1: the assumption r is used by no criterion. Use it or take it out.",
    ),
    "an assumption that is not written": (
        changed(MET_WHEN, f"{MET_WHEN}\n    assumes: r"),
        f"{FILE}:9: A: the assumption r is not defined. Add it under `assumptions`.",
    ),
    "a question that nobody asks": (
        MINIMAL + "questions: {q: {text: Is it so}}\n",
        f"{FILE}:1: the question q is asked by no criterion. Use it or take it out.",
    ),
    "a question that is not written": (
        changed(MET_WHEN, f"{MET_WHEN}\n    question: q"),
        f"{FILE}:9: A: the question q is not defined. Add it under `questions`.",
    ),
    "an answer to prior authorization that is none": (
        MINIMAL + "prior_authorization: {needed: auth-need, text: Ask.}\n",
        f"{FILE}:14: `auth-need` is not a known answer of `needed`. Did you mean `auth-needed`?",
    ),
    "an attestation without a question": (
        changed(CHECK, "{all: [{attested: {}}]}"),
        f"{FILE}:9: A: only an answer settles `attested`, and no question is asked. Name its `question`.",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_bad_document_is_told_what_is_wrong(text: str, message: str) -> None:
    assert error(text) == message


def test_an_error_has_its_parts() -> None:
    with pytest.raises(PolicyError) as raised:
        load(changed("value_set: illness", "value_set: ilness"))
    found = raised.value
    assert (found.file, found.line, found.letter) == (FILE, 13, "A")
    assert found.problem == "`ilness` is not a known value set."
    assert found.remedy == "Did you mean `illness`?"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (PolicyError("It is bad."), "It is bad."),
        (PolicyError("It is bad.", file="f"), "f: It is bad."),
        (PolicyError("It is bad.", "Mend it.", letter="A"), "A: It is bad. Mend it."),
    ],
)
def test_an_error_says_as_much_of_its_place_as_is_known(made: PolicyError, expected: str) -> None:
    assert str(made) == expected


def test_control_characters_are_not_yaml() -> None:
    assert error("policy: P\x00\n").startswith(f"{FILE}: this is not YAML")


class TestLibraryOfDocuments:
    def documents(self, *texts: str) -> list[PolicyDocument]:
        return [load_document(text, f"{number}.yaml", KNOWN) for number, text in enumerate(texts)]

    def clash(self, *texts: str) -> str:
        with pytest.raises(PolicyError) as raised:
            check_library(self.documents(*texts))
        return str(raised.value)

    def test_two_policies_open_on_one_day_for_one_therapy_cannot_be(self) -> None:
        message = (
            "1.yaml: P2 and P1 both govern donislecel for acme (commercial). "
            "Keep one, or give a later first day to a new version of the same policy (0.yaml)."
        )
        assert self.clash(MINIMAL, changed("policy: P1", "policy: P2")) == message

    def test_another_policy_that_begins_later_clashes_too_because_none_ends(self) -> None:
        later = changed("policy: P1", "policy: P2").replace("2025-10-01", "2026-10-01")
        assert "both govern" in self.clash(MINIMAL, later)

    def test_two_versions_of_one_first_day_cannot_be(self) -> None:
        assert "P1 and P1 both govern" in self.clash(MINIMAL, MINIMAL)

    def test_two_later_versions_of_one_first_day_cannot_be(self) -> None:
        later = changed("2025-10-01", "2026-10-01")
        assert "P1 and P1 both govern" in self.clash(MINIMAL, later, later)

    def test_elsewhere_governs_too(self) -> None:
        sent = MINIMAL.partition("therapies:")[0].replace("P1", "P2")
        assert "both govern" in self.clash(MINIMAL, sent + "elsewhere: [{document: D, therapies: donislecel}]\n")

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text.replace("2025-10-01", "2026-10-01"),
            lambda text: text.replace("policy: P1", "policy: P2").replace("payer: acme", "payer: zenith"),
            lambda text: text.replace("policy: P1", "policy: P2").replace(
                "therapies: donislecel", "therapies: axi-cel"
            ),
        ],
        ids=["a later version", "another payer", "another therapy"],
    )
    def test_documents_that_do_not_overlap_stand_together(self, change: Callable[[str], str]) -> None:
        check_library(self.documents(MINIMAL, change(MINIMAL)))

    def test_lines_of_business_may_have_a_policy_each(self) -> None:
        one, other = MINIMAL + "lines: [medicare]\n", changed("P1", "P2") + "lines: [medicaid, commercial]\n"
        check_library(self.documents(one, other))
