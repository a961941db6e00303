"""docs/settings.md lists every setting, with its true default, and no other."""

import re
from pathlib import Path

from prefcenter import config

PAGE = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `PREFCENTER_(\w+)` \| (?:`([^`|]*)`|–) \| (.+) \|$", re.MULTILINE)


def test_every_setting_is_listed_once_with_its_default() -> None:
    rows = [(name, default) for name, default, _meaning in ROW.findall(PAGE)]
    assert len(rows) == len(dict(rows)), "a setting is listed twice"
    assert dict(rows) == config.names_and_defaults()


def test_every_row_of_a_table_was_read() -> None:
    """A row that the pattern above does not fit would be a row that nobody checks."""
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    heads = PAGE.count("| Name | Default | Meaning |\n|---|---|---|\n")
    assert len(lines) == len(ROW.findall(PAGE)) + 2 * heads


def test_every_meaning_is_a_sentence_and_says_the_unit() -> None:
    for name, _default, meaning in ROW.findall(PAGE):
        assert meaning.endswith("."), name
        for unit in ("HOURS", "DAYS", "MINUTES", "SECONDS"):
            if name.endswith(unit):
                assert unit.lower() in meaning.lower(), name


def test_the_names_in_the_example_exist() -> None:
    for name in re.findall(r"PREFCENTER_(\w+)", PAGE):
        assert name.removesuffix("_FILE") in config.names_and_defaults(), name
