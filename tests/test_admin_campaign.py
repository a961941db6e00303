"""The 10DLC page: ready to copy, and a warning where something else is registered (RULE-56)."""

import html
import json
import re

import pytest
from flask import Flask

from prefcenter.cli import cli
from prefcenter.consent import campaign, sites, wordings
from prefcenter.database import db, writing
from prefcenter.sms import versions
from tests import staff_room
from tests.cast import rows
from tests.conftest import Clock

PAGE = "/admin/campaign"


def note(app: Flask, values: dict[str, str], *, after: int = 0) -> object:
    return staff_room.press(staff_room.eve_editor(app), PAGE, {**values, "after": after})


def test_vic_sees_each_field_ready_to_copy_with_its_limit(app: Flask) -> None:
    page = staff_room.vic_viewer(app).get(PAGE)
    assert page.status_code == 200
    text = html.unescape(page.text)
    for name, ours in campaign.fields().items():
        assert f'id="{name}-ours" ' in page.text and f'data-copy="#{name}-ours"' in page.text
        assert f"\n{ours}</textarea>" in text
        assert f"{len(ours)} of {campaign.LIMITS[name][1]} characters" in page.text
    assert "http://prefs.test/" in page.text and "http://prefs.test/terms" in page.text
    assert "Nobody has noted yet" in page.text and 'name="sample1"' not in page.text


def test_what_we_use_fits_the_form(app: Flask) -> None:
    """RULE-56: two samples with brand and opt-out, each field within its limit."""
    fields = campaign.fields()
    assert set(fields) == set(campaign.LIMITS)
    for name, ours in fields.items():
        least, most = campaign.LIMITS[name]
        assert least <= len(ours) <= most, name
    for name in ("sample1", "sample2"):
        assert fields[name].startswith("Marlow Books: ") and "STOP" in fields[name]
    assert fields["sample1"] != fields["sample2"]
    assert "http://prefs.test/" in fields["messageFlow"]


def test_all_registered_as_used(app: Flask) -> None:
    eve = staff_room.eve_editor(app)
    answer = staff_room.press(eve, f"{PAGE}/as-used", {"after": 0})
    assert (answer.status_code, answer.location) == (303, PAGE)
    page = eve.get(PAGE).text
    assert "Noted as registered." in page and "differs" not in page
    assert page.count(">registered</span>") == len(campaign.LIMITS)
    [entry] = staff_room.log("campaign_noted")
    assert entry.details["version"] == [0, 1]
    assert entry.details["fields"] == sorted(campaign.LIMITS)
    assert campaign.registered() == campaign.fields()
    again = staff_room.press(eve, f"{PAGE}/as-used", {"after": 1})
    assert "Nothing was changed." in eve.get(again.location).text


def test_a_text_that_is_changed_afterwards_is_warned_of(app: Flask, now: Clock) -> None:
    eve = staff_room.eve_editor(app)
    staff_room.press(eve, f"{PAGE}/as-used", {"after": 0})
    words = "{brand}: ask {support}. {frequency}. Msg & data rates may apply. STOP ends all texts"
    staff_room.press(eve, "/admin/texts/help/en", {"body": words, "after": 0})
    page = eve.get(PAGE).text
    assert "What is registered differs from what we use" in page
    assert 'href="#helpMessage-card"' in page and 'href="#sample1-card"' not in page
    assert "<del>for help contact</del><ins>ask</ins>" in page


def test_new_words_of_consent_are_new_words_of_the_call_to_action(app: Flask, now: Clock) -> None:
    staff_room.press(staff_room.eve_editor(app), f"{PAGE}/as-used", {"after": 0})
    with writing():
        words = wordings.shipped("signup", "en") + " Thank you."
        versions.save("consent_signup", "en", words, after=0, by="eve", now=now.now())
        db.session.commit()
    page = staff_room.vic_viewer(app).get(PAGE).text
    assert 'href="#messageFlow-card"' in page
    assert re.search(r"<ins>[^<]*Thank you\.", page)


def test_keywords_are_compared_word_by_word_in_any_order(app: Flask) -> None:
    values = campaign.fields()
    values["helpKeywords"] = "info, aide, HELP"
    values["optoutKeywords"] = values["optoutKeywords"].replace("QUIT,", "") + ",BASTA"
    assert note(app, values).status_code == 303
    page = staff_room.vic_viewer(app).get(PAGE).text
    assert 'href="#optoutKeywords-card"' in page and 'href="#helpKeywords-card"' not in page
    assert "<del>BASTA </del>" in page and "<ins>QUIT </ins>" in page


def test_what_is_pasted_is_kept_as_versions_that_nobody_edits(app: Flask) -> None:
    assert note(app, {"sample1": "One"}).status_code == 303
    assert note(app, {"sample1": "Two"}, after=1).status_code == 303
    found = versions.history(versions.CAMPAIGN, "en")
    assert [json.loads(one.body)["sample1"] for one in found] == ["Two", "One"]
    assert [entry.details["fields"] for entry in staff_room.log("campaign_noted")] == [
        ["sample1"]
    ] * 2


def test_a_note_that_somebody_overtook_stays_in_the_fields(app: Flask) -> None:
    note(app, {"sample1": "One"})
    page = note(app, {"sample1": "Mine"})
    assert page.status_code == 409
    assert (
        "Somebody else noted something meanwhile" in page.text and "\nMine</textarea>" in page.text
    )
    assert campaign.registered()["sample1"] == "One"


def test_what_is_noted_is_never_sent_and_never_kept_at_hand(app: Flask) -> None:
    note(app, {"sample1": "One"})
    assert versions.of(versions.CAMPAIGN, "en") == ()


def test_the_command_compares_with_what_was_noted(app: Flask) -> None:
    runner = app.test_cli_runner()
    nothing = runner.invoke(cli, ["campaign", "check"])
    assert nothing.exit_code == 1 and "/admin/campaign" in nothing.output
    staff_room.press(staff_room.eve_editor(app), f"{PAGE}/as-used", {"after": 0})
    assert runner.invoke(cli, ["campaign", "check"]).exit_code == 0
    note(app, campaign.fields() | {"sample1": "Other"}, after=1)
    differs = runner.invoke(cli, ["campaign", "check"])
    assert differs.exit_code == 1 and "sample1 is registered as: Other" in differs.output


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/as-used"])
def test_vic_may_not_note(app: Flask, path: str) -> None:
    before = rows()["text_version"]
    assert staff_room.press(staff_room.vic_viewer(app), path, {"after": 0}).status_code == 403
    assert rows()["text_version"] == before == []


def test_hostile_words_are_shown_as_words(app: Flask, now: Clock) -> None:
    """SEC-38."""
    evil = '</textarea><script>alert(1)</script>"\x00{{ 7*7 }}' + "x" * 5000
    assert note(app, dict.fromkeys(campaign.LIMITS, evil)).status_code == 303
    with writing():
        sites.add("shop", "<script>alert(2)</script>", origins=["https://s.example"], now=now.now())
        db.session.commit()
    page = staff_room.eve_editor(app).get(PAGE)
    assert page.status_code == 200 and "<script>alert" not in page.text
    assert "http://prefs.test/w/shop" in page.text and "&lt;script&gt;alert(2)" in page.text
    assert len(campaign.registered()["sample1"]) <= 4096


@pytest.mark.settings(BRAND="B" * 60, SUPPORT="help@" + "long" * 20 + ".example")
def test_a_field_that_is_too_long_for_the_form_is_said(app: Flask, now: Clock) -> None:
    with writing():
        body = "{brand}: " + "so " * 120 + "{support} {frequency} rates may apply STOP"
        versions.save("help", "en", body, after=0, by="eve", now=now.now())
        db.session.commit()
    page = staff_room.vic_viewer(app).get(PAGE).text
    assert "The form takes 20 to 320 characters" in page
