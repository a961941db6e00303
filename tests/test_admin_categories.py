"""/admin/categories: what people may choose, changed by an editor, each change in the log."""

import html

import pytest
from flask import Flask

from prefcenter.consent import catalog
from prefcenter.database import db, writing
from prefcenter.models_staff import Role
from tests import web_shop
from tests.cast import ALICE, BOB, Town
from tests.settings_room import HOSTILE, calm, errors, kept, refuses, said, save, value_of
from tests.staff_room import eve_editor, log, press, sign_in, vic_viewer

LIST = "/admin/categories"
HTMX = {"HX-Request": "true"}
FORM = {"name": "Author talks", "description": "Twice a month", "public": "yes"}


def slugs() -> list[str]:
    db.session.rollback()
    db.session.expire_all()
    return [kind.slug for kind in catalog.every()]


def test_eve_adds_one_and_people_see_it(town: Town) -> None:
    eve = eve_editor(town)
    form = FORM | {"slug": "talks", "name_es": "Charlas", "age_gate": "18"}
    page = said(press(eve, f"{LIST}/add", form), eve)
    assert "Author talks was added." in page and "Charlas" in page
    assert slugs()[-1] == "talks"
    assert "Author talks" in town.browser.get("/").text
    assert "Charlas" in town.browser.get("/?lang=es").text
    [entry] = log("category_added")
    assert (entry.staff_name, entry.subject) == ("eve", "talks")
    assert entry.details["name"] == [None, "Author talks"]
    assert entry.details["name in es"] == [None, "Charlas"]
    assert entry.details["age_gate"] == [None, 18]


@pytest.mark.parametrize(
    ("field", "typed", "word"),
    [
        ("slug", "Talks", "lower-case"),
        ("slug", "", "lower-case"),
        ("slug", "offers", "already"),
        ("name", "", "1 to 80"),
        ("name", "x" * 81, "1 to 80"),
        ("name_es", "x" * 81, "1 to 80"),
        ("description", "x" * 201, "at most 200"),
        ("description_es", "x" * 201, "at most 200"),
        ("age_gate", "0", "1 to 99"),
        ("age_gate", "ten", "1 to 99"),
        ("age_gate", "²", "1 to 99"),
    ],
)
def test_what_cannot_be_saved_is_said_beside_its_field_and_stays(
    town: Town, field: str, typed: str, word: str
) -> None:
    eve, before = eve_editor(town), kept()
    form = FORM | {"slug": "talks", field: typed}
    answer = press(eve, f"{LIST}/add", form)
    [sentence] = errors(answer)
    assert word in sentence
    assert answer.text.count(sentence.replace("'", "&#39;")) == 2, "on top, and beside the field"
    for name in ("slug", "name", "description", field):
        assert value_of(answer, name) == form[name]
    assert "<title>Error: " in answer.text
    assert kept() == before
    calm(answer)


def test_a_change_is_in_the_log_with_before_and_after(town: Town) -> None:
    eve = eve_editor(town)
    page = eve.get(f"{LIST}/offers/change")
    assert value_of(page, "name") == "Sales and offers"
    assert value_of(page, "name_es") == "Rebajas y ofertas"
    assert value_of(page, "slug") is None, "it never changes"
    form = {"name": "Deals", "description": "About 2 texts a month", "name_es": "Ofertas"}
    assert "Deals was changed." in said(save(eve, f"{LIST}/offers/change", form), eve)
    [entry] = log("category_changed")
    assert entry.details == {
        "name": ["Sales and offers", "Deals"],
        "public": [True, False],
        "name in es": ["Rebajas y ofertas", "Ofertas"],
        "description in es": ["Unos 2 mensajes al mes", None],
    }
    past = html.unescape(eve.get(f"{LIST}/offers/change").text)
    assert "<del>Sales and offers</del>" in past and "<ins>Deals</ins>" in past
    assert "Name (es):" in past


def test_the_later_of_two_editors_does_not_undo_the_first(town: Town) -> None:
    """She sees what the other changed, keeps what she typed, and may save it then."""
    path, eve, vera = f"{LIST}/offers/change", eve_editor(town), sign_in(town, Role.EDITOR, "vera")
    opened = value_of(vera.get(path), "opened")
    save(eve, path, FORM | {"name": "Deals"})
    form = FORM | {"description": "Once a year", "opened": opened}
    late = press(vera, path, form)
    assert (late.status_code, "Somebody saved something else" in late.text) == (409, True)
    assert "<ins>Deals</ins>" in late.text and "eve" in late.text
    assert value_of(late, "description") == "Once a year"
    assert [entry.staff_name for entry in log("category_changed")] == ["eve"]
    unsure = press(vera, path, form | {"name": ""})
    assert value_of(unsure, "opened") == opened, "a mistake is no look at the newer values"
    assert press(vera, path, dict(FORM)).status_code == 409, "nothing said of it"
    form["opened"] = value_of(late, "opened")
    assert "was changed." in said(press(vera, path, form), vera)
    assert [entry.staff_name for entry in log("category_changed")] == ["eve", "vera"]
    assert value_of(vera.get(f"{LIST}/add"), "opened") is None


def test_the_same_again_is_no_entry(town: Town) -> None:
    eve = eve_editor(town)
    form = {
        "name": "Sales and offers",
        "description": "About 2 texts a month",
        "name_es": "Rebajas y ofertas",
        "description_es": "Unos 2 mensajes al mes",
        "public": "yes",
    }
    assert "Nothing was changed." in said(save(eve, f"{LIST}/offers/change", form), eve)
    assert log("category_changed") == []


def test_a_change_that_cannot_be_leaves_all_as_it_was(town: Town) -> None:
    eve, before = eve_editor(town), kept()
    answer = save(eve, f"{LIST}/offers/change", FORM | {"name": " ", "age_gate": "21"})
    assert errors(answer) == ["Give it a name of 1 to 80 characters."]
    assert value_of(answer, "age_gate") == "21"
    assert kept() == before


# --- order


def test_up_and_down_without_scripts(town: Town) -> None:
    eve = eve_editor(town)
    page = said(press(eve, f"{LIST}/events/move", {"way": "up"}), eve)
    assert "Events near you is in place 2." in page
    assert slugs() == ["offers", "events", "new-books", "in-stock"]
    press(eve, f"{LIST}/offers/move", {"way": "down"})
    assert slugs() == ["events", "offers", "new-books", "in-stock"]
    assert [entry.details["position"] for entry in log("category_moved")] == [[3, 2], [1, 2]]


def test_with_htmx_the_list_comes_back_and_the_button_keeps_the_focus(town: Town) -> None:
    eve = eve_editor(town)
    answer = press(eve, f"{LIST}/events/move", {"way": "up"}, headers=HTMX)
    assert answer.status_code == 200 and answer.text.lstrip().startswith('<div id="categories"')
    assert 'id="up-events" autofocus' in answer.text
    answer = press(eve, f"{LIST}/events/move", {"way": "up"}, headers=HTMX)
    assert 'id="up-events"' not in answer.text, "it is the first now"
    assert 'id="down-events" autofocus' in answer.text
    assert answer.text.count("autofocus") == 1


def test_beyond_the_ends_nothing_moves(town: Town) -> None:
    eve = eve_editor(town)
    press(eve, f"{LIST}/offers/move", {"way": "up"})
    press(eve, f"{LIST}/in-stock/move", {"way": "sideways"})
    assert slugs() == ["offers", "new-books", "events", "in-stock"]
    assert log("category_moved") == []


# --- retire and bring back


def test_retiring_asks_first_and_says_how_many_take_it(town: Town) -> None:
    town.alice(categories=("events",))
    town.bob(BOB, ("events",))
    eve, before = eve_editor(town), kept()
    page = eve.get(f"{LIST}/events/retire")
    assert (page.status_code, "1 person takes it." in page.text) == (200, True)
    assert kept() == before, "a GET changes nothing"
    assert "Events near you is retired." in said(press(eve, f"{LIST}/events/retire"), eve)
    [entry] = log("category_retired")
    assert (entry.subject, entry.details) == ("events", {"people": 1})
    assert "Events near you" not in town.browser.get("/").text
    assert "events" in catalog.taken(town.person(ALICE).id)


def test_a_retired_one_is_listed_apart_and_comes_back(town: Town) -> None:
    eve = eve_editor(town)
    press(eve, f"{LIST}/events/retire")
    page = eve.get(LIST).text
    assert (
        page.index("Back in stock") < page.index("<h2>Retired") < page.index("<b>Events near you")
    )
    assert "is retired already" in said(eve.get(f"{LIST}/events/retire"), eve)
    press(eve, f"{LIST}/events/retire")
    assert len(log("category_retired")) == 1
    assert "Events near you is offered again." in said(press(eve, f"{LIST}/events/restore"), eve)
    press(eve, f"{LIST}/events/restore", headers=HTMX)
    assert len(log("category_restored")) == 1
    assert "Events near you" in town.browser.get("/").text


def test_the_only_one_of_a_form_stays_and_the_page_says_whose(town: Town) -> None:
    web_shop.open_shop(town, categories=["events"])
    eve = eve_editor(town)
    assert "Web shop" in eve.get(f"{LIST}/events/retire").text
    before = kept()
    answer = press(eve, f"{LIST}/events/retire")
    assert (answer.status_code, "web-shop offers nothing else" in answer.text) == (409, True)
    answer = save(eve, f"{LIST}/events/change", FORM | {"public": ""})
    assert "web-shop offers nothing else" in errors(answer)[0]
    assert kept() == before


@pytest.mark.settings(KEYWORDS="FAIR=events")
def test_a_keyword_that_asks_for_it_is_named(town: Town) -> None:
    page = eve_editor(town).get(f"{LIST}/events/retire").text
    assert "FAIR" in page and "PREFCENTER_KEYWORDS" in page


# --- who may, and what is hostile


def test_vic_looks_and_changes_nothing(town: Town) -> None:
    vic = vic_viewer(town)
    page = vic.get(LIST)
    assert page.status_code == 200 and "Sales and offers" in page.text
    assert f'action="{LIST}' not in page.text and "/change" not in page.text
    refuses(
        town,
        Role.VIEWER,
        gets=[f"{LIST}/add", f"{LIST}/offers/change", f"{LIST}/offers/retire"],
        posts=[f"{LIST}/add"]
        + [f"{LIST}/offers/{way}" for way in ("change", "move", "retire", "restore")],
    )


def test_an_unknown_one_is_404(town: Town) -> None:
    eve = eve_editor(town)
    for slug in ("nobody", "x" * 60, "a%00b", "%F0%9F%98%80"):
        assert eve.get(f"{LIST}/{slug}/change").status_code == 404
        assert eve.get(f"{LIST}/{slug}/retire").status_code == 404
        for way in ("change", "move", "retire", "restore"):
            assert press(eve, f"{LIST}/{slug}/{way}").status_code == 404


def test_hostile_words_are_only_words(town: Town) -> None:
    """SEC-38."""
    eve = eve_editor(town)
    words = HOSTILE[:80]
    form = {name: words for name in ("name", "description", "name_es", "description_es")}
    calm(press(eve, f"{LIST}/add", form | {"slug": HOSTILE, "age_gate": HOSTILE, "name": ""}))
    calm(save(eve, f"{LIST}/offers/change", form | {"public": "yes"}, follow_redirects=True))
    for path in (LIST, f"{LIST}/offers/change", f"{LIST}/offers/retire", "/admin/activity"):
        calm(eve.get(path), shows=words)
    calm(town.browser.get("/"), shows=words)


def test_characters_that_no_database_takes_are_dropped(town: Town) -> None:
    eve = eve_editor(town)
    form = FORM | {"name": "A\x00b\x1bc\u202e", "slug": "talks"}
    assert "Abc was added." in said(press(eve, f"{LIST}/add", form), eve)


def test_looking_changes_nothing(town: Town) -> None:
    eve = eve_editor(town)
    before = kept()
    for path in (LIST, f"{LIST}/add", f"{LIST}/offers/change", f"{LIST}/offers/retire"):
        for headers in ({}, HTMX):
            calm(eve.get(path, headers=headers))
    assert kept() == before


def test_without_a_category_the_page_says_what_to_do(town: Town, app: Flask) -> None:
    with writing():
        for kind in catalog.every():
            db.session.delete(kind)
        db.session.commit()
    page = eve_editor(town).get(LIST)
    assert "No category yet" in page.text and f'href="{LIST}/add"' in page.text
