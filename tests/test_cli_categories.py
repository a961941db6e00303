"""`prefcenter category change`, `retire` and `restore`: the same rules as on the admin page."""

import json

import pytest
from flask import Flask

from prefcenter.consent import sites
from prefcenter.database import db, writing
from tests import terminal
from tests.cast import ALICE, CAROL, Town, rows
from tests.conftest import Clock
from tests.staff_room import log
from tests.terminal import Run

ORIGIN = "https://shop.example"


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


def offers(run: Run) -> dict[str, object]:
    found = json.loads(run("category", "list", "--json").output)
    return next(row for row in found if row["slug"] == "offers")


def test_what_is_named_changes_and_the_rest_stays(run: Run) -> None:
    before = offers(run)
    result = run("category", "change", "offers", "--name", "Deals", "--age-gate", "18")
    assert (result.exit_code, result.output) == (0, "Changed offers.\n")
    assert offers(run) == before | {"name": "Deals", "age_gate": 18}
    [entry] = log("category_changed")
    assert entry.staff_name.startswith("command (") and entry.subject == "offers"
    assert entry.details == {"name": [before["name"], "Deals"], "age_gate": [None, 18]}
    assert run("category", "change", "offers", "--name", "Deals").output == "Nothing was changed.\n"
    assert run("category", "change", "offers", "--age-gate", "none").exit_code == 0
    assert offers(run)["age_gate"] is None
    assert len(log("category_changed")) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("change", "offers"), "Say what to change"),
        (("change", "offers", "--name", ""), "A name has 1 to 80 characters"),
        (("change", "offers", "--age-gate", "100"), "An age is a number from 1 to 99, or none"),
        (("change", "offers", "--age-gate", "0"), "An age is a number from 1 to 99"),
        (("change", "nowhere", "--name", "x"), "There is no category nowhere"),
        (("retire", "nowhere"), "There is no category nowhere"),
        (("restore", "nowhere"), "There is no category nowhere"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, words: tuple[str, ...], sentence: str) -> None:
    before = rows()
    result = run("category", *words)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {sentence}")
    assert rows() == before


def test_a_retired_category_is_offered_nowhere_and_forgotten_nowhere(run: Run, town: Town) -> None:
    town.alice(ALICE)
    town.carol(CAROL)
    result = run("category", "retire", "offers")
    assert result.output == "Retired offers. Subscribers who take it: 1.\n"
    assert offers(run)["retired_at"] is not None
    assert "offers: Sales and offers (retired)" in run("category", "list").output
    assert 'value="offers"' not in town.browser.get("/").text
    assert [kind.slug for kind in town.person(ALICE).categories] == ["offers"]
    [entry] = log("category_retired")
    assert entry.details == {"people": 1}
    assert run("category", "retire", "offers").exit_code == 0
    assert len(log("category_retired")) == 1, "it was so already"
    assert run("category", "restore", "offers").output == "Restored offers.\n"
    assert 'value="offers"' in town.browser.get("/").text
    run("category", "restore", "offers")
    assert len(log("category_restored")) == 1


@pytest.mark.parametrize("words", [("retire", "offers"), ("change", "offers", "--private")])
def test_a_form_keeps_its_last_category(run: Run, now: Clock, words: tuple[str, ...]) -> None:
    with writing():
        more = {"origins": [ORIGIN], "categories": ["offers"], "now": now.now()}
        sites.add("web-shop", "Web shop", **more)
        db.session.commit()
    before = rows()
    result = run("category", *words)
    assert result.exit_code == 1
    assert "The form of web-shop offers nothing else." in result.output
    assert rows() == before
