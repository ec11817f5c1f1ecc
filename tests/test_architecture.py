"""The rooms and arrows of CONTRIBUTING.md hold: read from the source itself, imported or not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DATA = {"payers": ROOT / "cds_service/payers.yaml", "products": ROOT / "fhir_mappings/products.yaml"}
MOST_LINES = 400

NETWORK_AND_DISK = frozenset(
    {"asyncio", "http", "io", "os", "pathlib", "shutil", "socket", "sqlite3", "subprocess", "tempfile"}
)
CHANCE_AND_TIME = frozenset({"random", "secrets", "threading", "time", "uuid"})
EDGES = frozenset({"click", "fhir", "flask", "logging", "orjson", "requests", "rich", "structlog", "sys"})
OTHER_HTTP_CLIENTS = frozenset({"aiohttp", "http.client", "httpx", "urllib.request"})
CLOCKS = {
    "datetime": {"now", "today", "utcnow"},
    "date": {"today"},
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime"},
}
MEANINGLESS = frozenset({"utils", "util", "helpers", "helper", "core", "common", "base", "manager", "misc", "shared"})


@dataclass(frozen=True)
class Module:
    path: str
    text: str

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> frozenset[str]:
        """Every module or member named by an import, wherever in the module it stands."""
        return frozenset(name for node in ast.walk(self.tree) for name in imported(node))

    @cached_property
    def imports_when_loaded(self) -> frozenset[str]:
        return frozenset(name for node in self.tree.body for name in imported(node))

    def uses(self, package: str) -> bool:
        return any(name == package or name.startswith(f"{package}.") for name in self.imports)

    def is_in(self, *places: str) -> bool:
        """Whether it is one of the files, or lies in one of the folders (written with a slash at the end)."""
        return any(self.path == place or (place.endswith("/") and self.path.startswith(place)) for place in places)


def imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are written in full"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> list[Module]:
    paths = sorted(path for package in ("cds_service", "fhir_mappings") for path in (ROOT / package).rglob("*.py"))
    return [Module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


MODULES = modules()
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.path)


def users(package: str, *allowed: str) -> list[str]:
    return [m.path for m in MODULES if m.uses(package) and not m.is_in(*allowed)]


def clock_readings(tree: ast.AST) -> list[str]:
    """The attributes that read the clock, called or passed on: ``datetime.datetime.now``, ``time.time``."""
    names = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    taken = [name for node in ast.walk(tree) for name in imported(node)]
    pairs = [(name, *name.split(".")[-2:]) for name in (*names, *taken) if "." in name]
    return [name for name, owner, member in pairs if member in CLOCKS.get(owner, ())]


def texts(tree: ast.AST) -> Iterator[str]:
    """Every string of a module that is not a docstring."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def names_in_data() -> set[str]:
    payers = yaml.safe_load(DATA["payers"].read_text(encoding="utf-8"))["payers"]
    products = yaml.safe_load(DATA["products"].read_text(encoding="utf-8"))["products"]
    policies = {path.name.split("_")[0] for path in (ROOT / "cds_service/policies").glob("*.yaml")}
    named = {name for payer in payers for name in (payer["id"], payer["label"], *payer["names"])}
    named |= {name for p in products for name in (p["id"], p.get("brand"), p["generic"], *p["names"]) if name}
    return named | policies


NAMES = re.compile(
    r"(?<![\w-])(?:"
    + "|".join(re.escape(name) for name in sorted(names_in_data(), key=len, reverse=True))
    + r")(?![\w-])",
    re.IGNORECASE,
)


def test_there_are_modules_to_look_at() -> None:
    assert {"cds_service/cli.py", "cds_service/policy/evaluate.py", "fhir_mappings/extract.py"} <= {
        module.path for module in MODULES
    }


def test_the_mappings_know_nothing_of_the_service() -> None:
    assert [m.path for m in MODULES if m.is_in("fhir_mappings/") and m.uses("cds_service")] == []


def test_the_policy_core_knows_the_facts_and_itself_only() -> None:
    ours = {
        name
        for module in MODULES
        if module.is_in("cds_service/policy/")
        for name in module.imports
        if name.startswith(("cds_service", "fhir_mappings"))
    }

    assert sorted(n for n in ours if not n.startswith(("cds_service.policy.", "fhir_mappings.facts."))) == []


@pytest.mark.parametrize(
    "room", ["cds_service/policy/", "cds_service/cards/", "cds_service/crd/", "cds_service/routing.py"]
)
def test_a_pure_room_imports_nothing_that_reaches_outside(room: str) -> None:
    reached = [
        f"{m.path}: {name}"
        for m in MODULES
        if m.is_in(room)
        for name in NETWORK_AND_DISK | CHANCE_AND_TIME | EDGES | {"urllib.request"}
        if m.uses(name)
    ]

    assert reached == []


def test_only_the_review_answers_in_the_terms_of_crd_and_only_names_of_it_are_known_elsewhere() -> None:
    # discovery tells the options, records say what was asserted
    allowed = ("cds_service/crd/", "cds_service/review.py", "cds_service/web/hooks.py", "cds_service/store/records.py")

    assert users("cds_service.crd", *allowed) == []


def test_flask_stays_in_the_web_room() -> None:
    # __init__ wires the application, server.py names its type
    allowed = ("cds_service/web/", "cds_service/__init__.py", "cds_service/server.py")

    assert users("flask", *allowed) == users("flask_cors", *allowed) == users("werkzeug", *allowed) == []


def test_only_the_wiring_knows_the_web_room() -> None:
    assert users("cds_service.web", "cds_service/web/", "cds_service/__init__.py") == []


def test_one_module_reads_the_network_and_the_command_line_fires() -> None:
    assert users("requests", "cds_service/fhir_connections.py", "cds_service/cli.py") == []
    assert [path for client in OTHER_HTTP_CLIENTS for path in users(client)] == []


def test_the_database_stays_in_the_store_and_with_the_tokens_that_were_used() -> None:
    files = ("cds_service/security/file_replays.py", "cds_service/web/authentication.py")

    assert users("sqlalchemy", "cds_service/store/", "cds_service/security/sql_replays.py") == []
    assert users("sqlite3", "cds_service/store/", *files) == []


def test_one_module_knows_the_fhir_models() -> None:
    assert users("fhir", "fhir_mappings/resources.py") == users("fhir_core", "fhir_mappings/resources.py") == []


def test_only_the_edge_reads_the_clock() -> None:
    edge = ("cds_service/web/", "cds_service/cli.py", "cds_service/store/")

    assert {m.path: found for m in MODULES if not m.is_in(*edge) and (found := clock_readings(m.tree))} == {}


def test_no_module_imports_itself_by_way_of_others() -> None:
    names = {module.name for module in MODULES}
    graph = {
        m.name: {target for i in m.imports_when_loaded for target in (i, i.rpartition(".")[0]) if target in names}
        - {m.name}
        for m in MODULES
    }

    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


@each_module
def test_a_module_is_named_for_what_it_does(module: Module) -> None:
    assert MEANINGLESS.isdisjoint(module.name.split("."))


@each_module
def test_a_module_says_what_it_is_for(module: Module) -> None:
    assert ast.get_docstring(module.tree)


@each_module
def test_a_module_is_short(module: Module) -> None:
    assert len(module.text.splitlines()) <= MOST_LINES


@each_module
def test_no_payer_product_or_policy_is_named_outside_the_data(module: Module) -> None:
    assert [text for text in texts(module.tree) if NAMES.search(text)] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("datetime.datetime.now(UTC)", ["datetime.datetime.now"]),
        ("date.today()", ["date.today"]),
        ("field(default_factory=datetime.now)", ["datetime.now"]),
        ("from time import time", ["time.time"]),
        ("time.monotonic() + event.time + datetime.fromisoformat(text)", []),
    ],
)
def test_the_clock_test_sees_every_way_to_read_it(source: str, expected: list[str]) -> None:
    assert clock_readings(ast.parse(source)) == expected


@pytest.mark.parametrize(
    "text", ["Lantidra", "for a wellcare of north carolina member", "CP.MP.250:", "f-string casgevy"]
)
def test_the_name_test_sees_names(text: str) -> None:
    assert NAMES.search(text)


def test_the_import_test_sees_imports_inside_functions_but_not_as_loaded() -> None:
    module = Module("cds_service/x.py", "def f():\n    from flask import Flask\n")

    assert module.uses("flask")
    assert module.imports_when_loaded == frozenset()


def test_the_text_test_leaves_docstrings_out() -> None:
    assert list(
        texts(ast.parse('"""Doc."""\nx = "one"\n"""of x"""\ndef f():\n    """F."""\n    return f"two {x}"\n'))
    ) == [
        "one",
        "two ",
    ]
