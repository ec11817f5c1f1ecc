"""Reading label files: versions, sections, boxed warnings; a bad file is told where it is wrong."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest

from cds_service.policy.checks.order import OrderIs
from cds_service.policy.checks.patient import AgeAtLeast
from cds_service.policy.checks.recorded import Recorded
from cds_service.policy.document import SECTIONS
from cds_service.policy.errors import PolicyError
from cds_service.policy.label import NO_LABELS, Label, Labels, load_label
from tests.cds_service.policy.documents import KNOWN

FILE = "labels/axi-cel.yaml"
RECORDED = Recorded(value_set=("surgery",), kind="ever").records
"""Where something that was ever recorded is looked for."""

VERSION = """\
  - from: 2024-01-16
    source: US label of January 2024
    indication:
      text: For the illness, from 12 years of age.
      settled_by: Diagnosis and birth date.
      met_when: {all: [{age_at_least: 12}, {recorded: {kind: current, value_set: illness}}]}
      printed: [12]
      verified: "source: a copy of the label"
    dosage:
      text: Once.
      met_when: {order_is: surgery}
      verified: "source: a copy of the label"
    forms:
      text: A suspension.
      verified: unverified (from memory)
    contraindications:
      text: Not with surgery.
      excluded_when: {recorded: {kind: ever, value_set: surgery}}
      silence: [procedures]
      verified: "source: a copy of the label"
    boxed_warnings:
      - {text: fever, verified: "source: a copy of the label"}
"""
MINIMAL = f"product: axi-cel\nversions:\n{VERSION}"
"""A label that loads; its only version begins on line 3."""


def load(text: str = MINIMAL) -> Label:
    return load_label(text, FILE, KNOWN)


def changed(old: str, new: str, text: str = MINIMAL) -> str:
    assert old in text
    return text.replace(old, new)


def error(text: str) -> str:
    with pytest.raises(PolicyError) as raised:
        load(text)
    return str(raised.value)


def dated(*days: str) -> str:
    return "product: axi-cel\nversions:\n" + "".join(VERSION.replace("2024-01-16", day) for day in days)


class TestWhatIsRead:
    def test_a_label(self) -> None:
        found = load()
        [version] = found.versions
        assert (found.product, found.file) == ("axi-cel", FILE)
        assert (version.first_day, version.source) == (date(2024, 1, 16), "US label of January 2024")
        assert tuple(version.sections) == SECTIONS

    def test_a_section_is_a_rule_with_its_words(self) -> None:
        section = load().versions[0].sections["indication"]
        assert section.text == "For the illness, from 12 years of age."
        assert section.rule is not None
        assert section.rule.settled_by == "Diagnosis and birth date."
        assert section.rule.met_when is not None
        assert section.rule.met_when.children() == (
            AgeAtLeast(years=12),
            Recorded(value_set=("illness",), kind="current"),
        )

    def test_an_excluding_section(self) -> None:
        rule = load().versions[0].sections["contraindications"].rule
        assert rule is not None
        assert rule.excluded_when == Recorded(value_set=("surgery",), kind="ever")
        assert (rule.met_when, rule.silence) == (None, ("procedures",))

    def test_forms_are_words_alone(self) -> None:
        forms = load().versions[0].sections["forms"]
        assert (forms.text, forms.rule, forms.missing) == ("A suspension.", None, False)

    def test_forms_may_have_a_check_too(self) -> None:
        text = changed("text: A suspension.", "text: A suspension.\n      met_when: {order_is: surgery}")
        rule = load(text).versions[0].sections["forms"].rule
        assert rule is not None
        assert rule.met_when == OrderIs(value_set=("surgery",))

    def test_memory_is_not_a_source(self) -> None:
        sections = load().versions[0].sections
        assert {name for name in SECTIONS if not sections[name].is_verified} == {"forms"}

    def test_a_section_that_could_not_be_found_says_why(self) -> None:
        text = re.sub(r"dosage:\n(?: {6}.*\n)+", "dosage: {missing: Nobody saw the label.}\n", MINIMAL)
        dosage = load(text).versions[0].sections["dosage"]
        assert (dosage.missing, dosage.text, dosage.rule) == (True, "Nobody saw the label.", None)

    def test_a_label_without_contraindications_says_how_that_is_known(self) -> None:
        text = re.sub(
            r"contraindications:\n(?: {6}.*\n)+",
            "contraindications: {none: None is named., verified: unverified (from memory)}\n",
            MINIMAL,
        )
        section = load(text).versions[0].sections["contraindications"]
        assert (section.missing, section.text, section.rule) == (False, "None is named.", None)
        assert not section.is_verified

    def test_boxed_warnings(self) -> None:
        [warning] = load().versions[0].boxed_warnings
        assert (warning.text, warning.verified) == ("fever", "source: a copy of the label")

    def test_a_label_without_boxed_warnings_says_how_that_is_known(self) -> None:
        version = load(
            re.sub(r"boxed_warnings:\n.*\n", "boxed_warnings: []\n    boxed_warnings_verified: A page.\n", MINIMAL)
        )
        assert version.versions[0].boxed_warnings == ()
        assert version.versions[0].boxed_warnings_verified == "A page."

    def test_an_assumption_explains_a_number(self) -> None:
        text = changed("printed: [12]", "assumes: [teens]").replace(
            "versions:", "assumptions: {teens: {text: Teens begin at 12., numbers: [12]}}\nversions:"
        )
        assert load(text).assumptions["teens"].text == "Teens begin at 12."

    def test_the_revision_changes_with_every_letter_of_the_text(self) -> None:
        assert re.fullmatch("[0-9a-f]{16}", load().revision)
        assert load().revision != load(MINIMAL + "# a comment\n").revision


class TestVersions:
    LABEL = load(dated("2024-01-16", "2025-06-26", "2026-07-01"))

    @pytest.mark.parametrize(
        ("day", "first_day"),
        [
            ("2024-01-15", None),
            ("2024-01-16", "2024-01-16"),
            ("2025-06-25", "2024-01-16"),
            ("2025-06-26", "2025-06-26"),
            ("2026-06-30", "2025-06-26"),
            ("2026-07-01", "2026-07-01"),
            ("9999-12-31", "2026-07-01"),
        ],
    )
    def test_the_one_in_force_is_the_last_that_has_begun(self, day: str, first_day: str | None) -> None:
        found = self.LABEL.on(date.fromisoformat(day))
        assert (str(found.first_day) if found else None) == first_day

    def test_the_records_are_those_of_every_version(self) -> None:
        second = VERSION.replace("2024-01-16", "2025-01-01").replace(
            "kind: ever", "kind: ever, places: [observations, procedures]"
        )
        assert load().records() == {"patient", "conditions", "procedures", *RECORDED}
        assert load(MINIMAL + second).records() == load().records() | {"observations"}

    def test_a_label_is_found_by_its_product(self) -> None:
        labels = Labels({"axi-cel": self.LABEL})
        assert labels.of("axi-cel") is self.LABEL
        assert labels.of("tisa-cel") is None
        assert NO_LABELS.of("axi-cel") is None


BAD = {
    "no YAML": ("product: [", f"{FILE}:1: this is not YAML: expected the node content, but found '<stream end>'."),
    "an empty file": ("", f"{FILE}:1: the file is empty. Begin with `policy:` and the policy's id."),
    "a list": ("- product", f"{FILE}:1: found a list where a mapping is needed. Write `key: value` lines."),
    "no product": (changed("product: axi-cel\n", ""), f"{FILE}:1: `product` is missing. Add `product:`."),
    "no versions": ("product: axi-cel\n", f"{FILE}:1: `versions` is missing. Add `versions:`."),
    "an empty list of versions": (
        "product: axi-cel\nversions: []\n",
        f"{FILE}:2: the list is empty. Name at least one.",
    ),
    "a product that is not known": (
        changed("axi-cel", "axi-sel"),
        f"{FILE}:1: `axi-sel` is not a known product. Did you mean `axi-cel`?",
    ),
    "a key that is not known": (
        MINIMAL + "notes: x\n",
        f"{FILE}:25: `notes` is not known here. Known here: assumptions, product, versions.",
    ),
    "versions out of order": (
        dated("2025-06-26", "2024-01-16"),
        f"{FILE}:3: the versions are not in the order of their first days. Put the oldest first.",
    ),
    "two versions of one day": (
        dated("2024-01-16", "2024-01-16"),
        f"{FILE}:3: the versions are not in the order of their first days. Put the oldest first.",
    ),
    "a version without a first day": (
        changed("from: 2024-01-16\n    ", ""),
        f"{FILE}:3: `from` is missing. Add `from:`.",
    ),
    "a first day that is none": (
        changed("2024-01-16", "2024-02-30"),
        f"{FILE}:3: found `2024-02-30` where a date is needed. Write it as YYYY-MM-DD.",
    ),
    "a version without its source": (
        changed("    source: US label of January 2024\n", ""),
        f"{FILE}:3: `source` is missing. Add `source:`.",
    ),
    "a text for a section": (
        changed("forms:\n      text: A suspension.\n      verified: unverified (from memory)", "forms: x"),
        f"{FILE}:15: forms: found `x` where a mapping is needed. Write `key: value` lines.",
    ),
    "a section that does not say how it is known": (
        changed("\n      verified: unverified (from memory)", ""),
        f"{FILE}:16: forms: `verified` is missing. Add `verified:`.",
    ),
    "a section without its words": (
        changed("text: Once.\n      ", ""),
        f"{FILE}:12: dosage: `text` is missing. Add `text:`.",
    ),
    "a section without a check": (
        changed("      met_when: {order_is: surgery}\n", ""),
        (
            f"{FILE}:12: dosage: a criterion either requires or excludes. "
            "Give `met_when`, or `excluded_when` and `review_when`."
        ),
    ),
    "a section that requires and excludes": (
        changed("      silence: [procedures]", "      met_when: {order_is: surgery}"),
        (
            f"{FILE}:19: contraindications: a criterion either requires or excludes. "
            "Give `met_when`, or `excluded_when` and `review_when`."
        ),
    ),
    "silence of a record in which no check looks": (
        changed("silence: [procedures]", "silence: [observations]"),
        (
            f"{FILE}:1: contraindications: `silence` names observations, in which no check of the criterion looks. "
            "Let a check look there, or take it out."
        ),
    ),
    "silence for a requirement": (
        changed("{order_is: surgery}", "{order_is: surgery}\n      silence: [conditions]"),
        f"{FILE}:14: dosage: a criterion that requires something cannot be met by silence. Leave it out.",
    ),
    "a check that is not in the vocabulary": (
        changed("order_is", "order_iss"),
        f"{FILE}:13: dosage: `order_iss` is not a check of the vocabulary. Did you mean `order_is`?",
    ),
    "a value set that is not known": (
        changed("{order_is: surgery}", "{order_is: surgry}"),
        f"{FILE}:13: dosage: `surgry` is not a known value set. Did you mean `surgery`?",
    ),
    "a missing section with more": (
        changed("text: A suspension.\n      verified: unverified (from memory)", "missing: x\n      text: y"),
        f"{FILE}:17: forms: `text` is not known here. Known here: missing, verified.",
    ),
    "a missing section without a reason": (
        changed("text: A suspension.\n      verified: unverified (from memory)", "missing:"),
        f"{FILE}:16: forms: found nothing where a text is needed.",
    ),
    "an absence that does not say how it is known": (
        changed("text: A suspension.\n      verified: unverified (from memory)", "none: No form."),
        f"{FILE}:16: forms: `verified` is missing. Add `verified:`.",
    ),
    "a number that is neither printed nor assumed": (
        changed("      printed: [12]\n", ""),
        (
            f"{FILE}:1: indication: the number 12 is neither printed in the policy nor assumed. "
            "List it under `printed`, or in the `numbers` of an assumption that the criterion assumes."
        ),
    ),
    "a printed number that no check uses": (
        changed("[12]", "[12, 18]"),
        f"{FILE}:1: indication: `printed` lists 18, which no check uses. Take it out.",
    ),
    "an assumption that is not written": (
        changed("printed: [12]", "printed: [12]\n      assumes: r"),
        f"{FILE}:1: indication: the assumption r is not defined. Add it under `assumptions`.",
    ),
    "an assumption that nobody makes": (
        MINIMAL + "assumptions: {r: A reading.}\n",
        f"{FILE}:1: the assumption r is used by no criterion. Use it or take it out.",
    ),
    "no boxed warnings, and no word on how that is known": (
        re.sub(r"boxed_warnings:\n.*\n", "boxed_warnings: []\n", MINIMAL),
        f"{FILE}:23: no boxed warning is listed. Say how that is known: `boxed_warnings_verified`.",
    ),
    "a boxed warning that does not say how it is known": (
        changed('{text: fever, verified: "source: a copy of the label"}', "{text: fever}"),
        f"{FILE}:24: `verified` is missing. Add `verified:`.",
    ),
}
BAD |= {
    f"no {name}": (
        re.sub(rf"    {name}:(?: .*)?\n(?: {{6}}.*\n)*", "", MINIMAL),
        f"{FILE}:3: `{name}` is missing. Add `{name}:`.",
    )
    for name in (*SECTIONS, "boxed_warnings")
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_bad_label_is_told_what_is_wrong(text: str, message: str) -> None:
    assert error(text) == message


def test_a_label_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        load().product = "tisa-cel"  # type: ignore[misc]  # this is the claim
    assert replace(load(), product="tisa-cel").product == "tisa-cel"
