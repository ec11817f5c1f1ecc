"""The registry of qualified treatment centres: a deployment's file, read at start, asked about facilities."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cds_service.files import text_of
from cds_service.policy.errors import PolicyError
from cds_service.policy.yaml_nodes import Node, parse
from fhir_mappings.facts import CentreStanding, Coding, Evidence, Order

_COLUMNS = ("npi", "ccn", "product", "from", "to", "complete", "source")
_NPI = re.compile(r"\d{10}")
_CCN = re.compile(r"[0-9A-Z]{6,10}")
_YES_NO = {"yes": True, "true": True, "no": False, "false": False, "": False}


@dataclass(frozen=True, slots=True)
class Centre:
    """One facility that is qualified for one product in a period, both days included."""

    identifier: Coding
    product: str
    first: date
    last: date | None
    complete: bool
    """Whether the registry claims to name every centre of the product."""
    source: str

    def on(self, day: date) -> bool:
        """Whether the qualification holds on a day."""
        return self.first <= day and (self.last is None or day <= self.last)


@dataclass(frozen=True)
class Centres:
    """The registry."""

    entries: tuple[Centre, ...] = ()

    def standing(self, order: Order, day: date) -> CentreStanding:
        """Return how the order's facilities stand in the registry for the ordered product on a day."""
        shown = tuple(f.evidence for f in order.facilities)
        named = [f for f in order.facilities if f.qualified_for or any(map(_is_right, f.identifiers))]
        if not self.entries and not any(f.qualified_for for f in named):
            return CentreStanding("not-listed", "This deployment has no registry of treatment centres.", shown)
        if not named:
            return CentreStanding("unnamed", "The order names no facility with an NPI or CCN.", shown)
        evidence = tuple(f.evidence for f in named)
        identifiers = {i for f in named for i in f.identifiers if _is_right(i)}
        for entry in self.entries:
            if entry.product == order.therapy and entry.identifier in identifiers and entry.on(day):
                words = f"{_words(entry.identifier)} is registered for this product from {entry.first}"
                return CentreStanding("listed", f"{words} ({entry.source}).", evidence)
        if any(order.therapy in f.qualified_for for f in named):
            return CentreStanding("listed", "The facility's record carries a qualification for this product.", evidence)
        return self._not_listed(order.therapy, identifiers, day, evidence)

    def _not_listed(
        self, product: str, identifiers: Iterable[Coding], day: date, evidence: tuple[Evidence, ...]
    ) -> CentreStanding:
        names = " and ".join(sorted(_words(i) for i in identifiers)) or "The facility"
        if any(e.complete for e in self.entries if e.product == product and e.on(day)):
            reason = f"{names} is not registered for this product on {day}, and the registry is complete for it."
            return CentreStanding("excluded", reason, evidence)
        return CentreStanding("not-listed", f"{names} is not registered for this product on {day}.", evidence)


NO_CENTRES = Centres()


def _is_right(identifier: Coding) -> bool:
    """Whether it has the shape of an NPI or CCN; anything else is text of the EHR, which no reason may repeat."""
    shape = {"npi": _NPI, "ccn": _CCN}.get(identifier.system)
    return shape is not None and shape.fullmatch(identifier.code) is not None


def _words(identifier: Coding) -> str:
    return f"{identifier.system.upper()} {identifier.code}"


def load_centres(path: Path, products: frozenset[str]) -> Centres:
    """Return the registry in a YAML or CSV file; raise PolicyError with the line for anything that is not right."""
    text = text_of(path).removeprefix("\ufeff")
    rows = _csv_rows(text, path) if path.suffix.casefold() == ".csv" else _yaml_rows(text, path)
    return Centres(tuple(_centre(row, line, path, products) for line, row in rows))


def _csv_rows(text: str, path: Path) -> list[tuple[int, Mapping[str, str]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        _check_columns(reader.fieldnames or (), path)
        return [(reader.line_num, _csv_row(row, reader.line_num, path)) for row in reader]
    except csv.Error as error:
        raise PolicyError(f"this is not CSV: {error}.", file=str(path), line=reader.reader.line_num) from None


def _check_columns(columns: Sequence[str], path: Path) -> None:
    unknown = sorted(set(columns) - set(_COLUMNS))
    missing = sorted({"product", "from", "source"} - set(columns))
    twice = sorted({name for name in columns if columns.count(name) > 1})
    for names, what in ((unknown, "not known"), (missing, "missing"), (twice, "given twice")):
        if names:
            problem = f"the column {names[0]} is {what}."
            raise PolicyError(problem, f"The columns are {', '.join(_COLUMNS)}.", file=str(path), line=1)


def _csv_row(row: Mapping[str | None, str | None], line: int, path: Path) -> Mapping[str, str]:
    if None in row:
        problem = "the row has more cells than there are columns."
        raise PolicyError(problem, "Put a text with a comma in quotes.", file=str(path), line=line)
    return {name: (value or "").strip() for name, value in row.items() if name is not None}


def _yaml_rows(text: str, path: Path) -> list[tuple[int, Mapping[str, str]]]:
    listed = parse(text, str(path)).fields(("centres",))["centres"].elements()
    return [(node.line, _yaml_row(node)) for node in listed]


def _yaml_row(node: Node) -> Mapping[str, str]:
    return {key: value.text() for key, value in node.fields(("product", "from", "source"), _COLUMNS).items()}


def _centre(row: Mapping[str, str], line: int, path: Path, products: frozenset[str]) -> Centre:
    def error(problem: str, remedy: str = "") -> PolicyError:
        return PolicyError(problem, remedy, file=str(path), line=line)

    def day(name: str) -> date | None:
        if not row.get(name):
            return None
        try:
            return date.fromisoformat(row[name])
        except ValueError:
            raise error(f"`{name}` is not a date.", "Write it as YYYY-MM-DD.") from None

    first, last = day("from"), day("to")
    if first is None or (last is not None and last < first):
        raise error("the period is not right.", "Give `from`, and a `to` that is not before it.")
    if row["product"] not in products:
        raise error(
            f"`{row['product']}` is no product of the registry.", "Use its id, for example as `policies` prints it."
        )
    if not row.get("source"):
        raise error("`source` is missing.", "Say where the qualification is published.")
    complete = row.get("complete", "").casefold()
    if complete not in _YES_NO:
        raise error("`complete` is neither yes nor no.")
    return Centre(_identifier(row, error), row["product"], first, last, _YES_NO[complete], row["source"])


def _identifier(row: Mapping[str, str], error: Callable[[str, str], PolicyError]) -> Coding:
    given: Sequence[tuple[str, str]] = [(name, row[name]) for name in ("npi", "ccn") if row.get(name)]
    if len(given) != 1:
        raise error("a centre has one of `npi` and `ccn`.", "Write a line for each.")
    system, code = given[0]
    if not (_NPI if system == "npi" else _CCN).fullmatch(code):
        raise error(f"`{code[:20]}` is no {system.upper()}.", "An NPI has 10 digits, a CCN 6 to 10 characters.")
    return Coding(system, code)
