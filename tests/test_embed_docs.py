"""docs/embed.md: what it prints is what the command prints, and its tables name what is there."""

import re
import shlex
from pathlib import Path

import pytest
from flask import Flask

from prefcenter import config
from prefcenter.web import form_token, optin, snippets, widget
from tests import terminal
from tests.terminal import Run

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "embed.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SCRIPT = (ROOT / "static" / "widget.js").read_text(encoding="utf-8")
STYLE = (ROOT / "static" / "widget.css").read_text(encoding="utf-8")
HERE = "https://prefs.example.com"
NAMES = {"element": "Element", "frame": "Frame", "form": "Plain form", "field": "Field mode"}
as_in_the_guide = pytest.mark.settings(PUBLIC_URL=HERE)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def blocks(kind: str) -> list[str]:
    return [text for one, text in BLOCKS if one == kind]


def rows(first: str) -> list[list[str]]:
    """The cells of the table whose head begins with this word."""
    table = PAGE.partition(f"\n| {first} |")[2].partition("\n\n")[0]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        for line in table.splitlines()[2:]
    ]


def quoted(cells: list[list[str]], column: int = 0) -> set[str]:
    return {name for row in cells for name in re.findall(r"`([^`]+)`", row[column])}


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


@pytest.fixture
def pasted(run: Run) -> dict[str, str]:
    """What each kind prints, after the guide's own commands."""
    [commands] = blocks("sh")
    for line in commands.replace("\\\n", "").splitlines():
        words = shlex.split(line)
        assert words[0] == "prefcenter"
        result = run(*words[1:])
        assert result.exit_code == 0, result.output
    return {
        kind: run("site", "snippet", "web-shop", "--kind", kind).output for kind in snippets.KINDS
    }


@on_sqlite
@as_in_the_guide
def test_the_snippets_are_those_that_the_command_prints(pasted: dict[str, str]) -> None:
    shown = blocks("html")
    assert len(shown) == len(snippets.KINDS)
    for kind, block in zip(snippets.KINDS, shown, strict=True):
        assert pasted[kind].startswith(block), f"paste `site snippet --kind {kind}` anew"


@on_sqlite
@as_in_the_guide
def test_the_policies_are_those_that_the_command_names(pasted: dict[str, str]) -> None:
    listed = dict(
        re.findall(r"^\| ([\w ]+) \| `((?:script|frame|form)-[^`]+)` \|$", PAGE, re.MULTILINE)
    )
    assert set(listed) == set(NAMES.values())
    for kind, name in NAMES.items():
        assert f"where it has one: {listed[name]} -->" in pasted[kind]


@on_sqlite
@as_in_the_guide
def test_the_room_in_the_guide_is_what_the_command_prints(pasted: dict[str, str]) -> None:
    room, _theme = blocks("css")
    assert f"can keep it exactly:\n{room}" in pasted["element"], "paste the rules anew"
    assert "min-height" in pasted["field"]
    assert "min-height" not in pasted["frame"] + pasted["form"]


@on_sqlite
@as_in_the_guide
def test_the_room_in_the_react_example_is_that_of_its_words(run: Run) -> None:
    assert (
        run(
            *("site", "add", "shop", "--name", "Shop", "--origin", "https://shop.example.com"),
            *("--about", "new books and offers"),
        ).exit_code
        == 0
    )
    printed = run("site", "snippet", "shop").output
    sheet = (ROOT / "examples" / "react" / "style.css").read_text("utf-8")
    rules = "prefcenter-optin:not" + sheet.rpartition("prefcenter-optin:not")[2]
    assert f"can keep it exactly:\n{rules}" in printed, "paste them anew"


@on_sqlite
@as_in_the_guide
def test_in_a_column_the_room_is_one_rule(pasted: dict[str, str], run: Run) -> None:
    words = ("site", "snippet", "web-shop", "--column")
    printed = run(*words, "280").output
    assert printed.count("min-height") == 1 and "@media" not in printed
    assert run(*words, "20").exit_code == 2


def test_every_way_is_in_the_first_table() -> None:
    assert [next(iter(quoted([row], 2))) for row in rows("Way")] == list(snippets.KINDS)


def test_attributes_variables_parts_and_events_are_those_of_the_script() -> None:
    read = set(re.findall(r'(?:own|hasAttribute)\("(\w+)"\)', SCRIPT))
    read |= set(re.findall(r":host\(\[(\w+)=", STYLE)) | {"lang"}
    assert quoted(rows("Attribute")) == read
    _room, css = blocks("css")
    assert set(re.findall(r"--pc-\w+", css)) == set(re.findall(r"--pc-\w+", STYLE))
    assert set(re.findall(r"::part\((\w+)\)", css)) == set(re.findall(r'part: "(\w+)"', SCRIPT))
    events = {f"prefcenter:{name}" for name in re.findall(r'tell\("(\w+)"', SCRIPT)}
    assert quoted(rows("Event")) == events
    found = re.findall(r'reason: "(\w+)"|fail\("(\w+)"', SCRIPT)
    answered = re.findall(r'status="(invalid|stale)"', Path(widget.__file__).read_text("utf-8"))
    reasons = {name for pair in found for name in pair if name} | set(answered)
    error = next(row for row in rows("Event") if "error" in row[0])
    assert quoted([error], 2) - {"reason"} == reasons


def test_figures_and_names_are_the_true_ones() -> None:
    languages = " or ".join(f"`{language}`" for language in config.LANGUAGES)
    assert f"Language of the form, {languages}." in PAGE
    assert form_token.YOUNGEST.total_seconds() == 2 and "is 2\nseconds to 60 minutes old" in PAGE
    assert form_token.OLDEST.total_seconds() == 3600
    assert optin.label("a" * 40) and not optin.label("a" * 41) and "at most 40 letters" in PAGE
    for name in ("sms_number", "sms_consent", "sms_text_version"):
        assert f"`{name}`" in PAGE and f'"{name}"' in SCRIPT


def test_its_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
        for line in PAGE.splitlines()
        if line.startswith("#")
    }
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        if target.startswith("#"):
            assert target[1:] in headings, target
        else:
            assert (ROOT / "docs" / target).exists(), target


def test_the_readme_names_the_guide_and_the_examples() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for link in ("docs/embed.md", "examples/"):
        assert f"]({link})" in readme
