"""What is registered with the carriers is what we do (RULE-56)."""

import json
from pathlib import Path

import pytest
from flask import Flask

from prefcenter.cli import cli
from prefcenter.consent import campaign, keywords
from prefcenter.consent.keywords import Word

pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.settings(KEYWORDS="BOOKS=new-books", STOP_WORDS="adieu"),
]


def test_every_word_that_is_registered_does_what_it_says(app: Flask) -> None:
    found = campaign.fields()
    for word in found["optoutKeywords"].split(","):
        assert keywords.read(word, more_stop=["adieu"]).word is Word.STOP, word
    for word in found["helpKeywords"].split(","):
        assert keywords.read(word).word is Word.HELP, word
    for word in found["optinKeywords"].split(","):
        reading = keywords.read(word, own=["BOOKS"])
        assert reading.word in (Word.START, Word.JOIN, Word.YES), word
    assert "BOOKS" in found["optinKeywords"] and "ADIEU" in found["optoutKeywords"]


def test_there_are_two_samples_with_brand_and_the_way_out(app: Flask) -> None:
    found = campaign.fields()
    for name in ("sample1", "sample2", "optinMessage", "optoutMessage", "helpMessage"):
        assert found[name].startswith("Marlow Books: ") and "STOP" in found[name]
    assert "not have to agree to buy anything" in found["messageFlow"]


def test_the_check_warns_of_what_differs(app: Flask, tmp_path: Path) -> None:
    runner, file = app.test_cli_runner(), tmp_path / "campaign.json"
    exported = runner.invoke(cli, ["campaign", "export"])
    file.write_text(exported.output)
    same = runner.invoke(cli, ["campaign", "check", str(file)])
    assert (same.exit_code, same.output) == (0, "The campaign is registered as we use it.\n")
    changed = json.loads(exported.output)
    del changed["sample2"]
    changed["optoutKeywords"] = "quit, stop"
    changed["helpKeywords"] = "info,AIDE,help"  # another order is no difference
    file.write_text(json.dumps(changed))
    other = runner.invoke(cli, ["campaign", "check", str(file)])
    assert other.exit_code == 1
    assert "optoutKeywords is registered as: quit, stop" in other.output
    assert "sample2 is not registered" in other.output and "helpKeywords" not in other.output
    for broken in ("[]", "{"):
        file.write_text(broken)
        assert runner.invoke(cli, ["campaign", "check", str(file)]).exit_code == 1
