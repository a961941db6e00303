"""The staircase: a module imports only from rooms below its own, and one file each where it matters.

What is imported inside a function, or for types alone, is not loaded with the module and is
not counted.
"""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "prefcenter"
GROUND = {
    *("assets_path", "clock", "config", "consent_texts", "database", "driver", "environment"),
    *(
        "frequency_words",
        "links",
        "logs",
        "models",
        "models_counts",
        "models_exports",
        "models_calls",
        "models_sending",
        "models_webhooks",
        "models_staff",
        "models_texts",
        "phone",
        "schema",
        "texting",
        "write_lock",
    ),
}
ROOMS = ["ground", "sms", "consent", "staff", "upkeep", "web", "roof"]


def room(module: str) -> str:
    """The room of `prefcenter.web.customer` is web; files beside the rooms are ground or roof."""
    first = (module.split(".") + [""])[1]
    if first in ROOMS:
        return first
    return "ground" if first in GROUND else "roof"


def modules() -> dict[str, str]:
    """Every module of ours and its source; migrations are scripts, not modules."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if "migrations" not in parts:
            found[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


def loaded(source: str, known: set[str]) -> Iterator[str]:
    """The modules of ours that this source imports while it is being loaded."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "say the whole name of a module"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known or node.module in known:
                    yield inner if inner in known else str(node.module)
        waiting += ast.iter_child_nodes(node)


def faults(sources: dict[str, str]) -> list[str]:
    """Steps up and cycles."""
    known = set(sources)
    graph = {name: set(loaded(source, known)) - {name} for name, source in sources.items()}
    found = [
        f"{name} ({room(name)}) imports {other} ({room(other)})"
        for name, others in graph.items()
        for other in others
        if ROOMS.index(room(other)) > ROOMS.index(room(name))
    ]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"a cycle: {' < '.join(error.args[1])}")
    return found


def test_no_module_imports_upstairs_and_there_is_no_cycle() -> None:
    assert faults(modules()) == []


@pytest.mark.parametrize(
    ("module", "line", "words"),
    [
        ("prefcenter.links", "from prefcenter.sms import outbox", "imports prefcenter.sms.outbox"),
        ("prefcenter.sms.outbox", "import prefcenter.consent.ledger", "prefcenter.consent.ledger"),
        ("prefcenter.consent.ledger", "from prefcenter.web.forms import x", "web.forms (web)"),
        ("prefcenter.web.forms", "from prefcenter import create_app", "prefcenter (roof)"),
        ("prefcenter.consent.state", "from prefcenter.consent import ledger", "a cycle"),
    ],
)
def test_a_planted_step_up_is_caught(module: str, line: str, words: str) -> None:
    sources = modules()
    sources[module] += f"\n{line}\n"
    assert any(words in fault for fault in faults(sources))


def names_used(source: str) -> set[str]:
    """Imported modules, and every `a.b` in the source."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
    return found


CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}


def test_one_file_speaks_to_vonage_and_one_reads_the_clock() -> None:
    """A second guard beside ruff's TID251; this one also knows the SDK's inner packages."""
    for name, source in modules().items():
        used = names_used(source)
        if name != "prefcenter.sms.vonage":
            assert not {one for one in used if one == "vonage" or one.startswith("vonage_")}, name
        if name != "prefcenter.clock":
            assert not used & CLOCKS, name
    assert names_used("import time\ntime.time()") & CLOCKS


def open_a_write_themselves(sources: dict[str, str]) -> list[str]:
    """Modules of the staff's pages that write past `guards.begin_staff_write`."""
    own = re.compile(r"(?<![\w.])(?:begin_write|writing|write_connection)\b|database\.\w*write")
    return [
        name
        for name, source in sources.items()
        if name.startswith("prefcenter.web.admin.") and own.search(source)
    ]


def test_staff_pages_ask_again_who_is_there_in_every_write() -> None:
    """SEC-42; but for the page where people sign in and out, who are nobody yet."""
    assert open_a_write_themselves(modules()) == ["prefcenter.web.admin.entry"]
    sources = modules()
    sources["prefcenter.web.admin.keys"] += "\nfrom prefcenter.database import begin_write\n"
    assert "prefcenter.web.admin.keys" in open_a_write_themselves(sources)
