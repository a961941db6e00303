"""/admin/alarms: what somebody must look at, and saying that it was done, with a reason."""

import pytest

from prefcenter.consent import breaker
from prefcenter.database import db, writing
from prefcenter.models import BreakerScope
from prefcenter.models_staff import Role
from prefcenter.sms import alarms
from prefcenter.web.admin.alarms import MEANINGS
from tests.cast import Town
from tests.conftest import Browser, Clock
from tests.settings_room import HOSTILE, calm, errors, kept, refuses, said, value_of
from tests.staff_room import eve_editor, log, press, vic_viewer
from tests.test_admin_sites import trip

PAGE = "/admin/alarms"
WHY = "Vonage had an outage; I looked at all texts of that hour."


@pytest.fixture
def eve(town: Town) -> Browser:
    return eve_editor(town)


def ring(name: str, now: Clock, message: str = "") -> None:
    with writing():
        alarms.start(name, message or "It went wrong.", now=now.now())
        db.session.commit()


def names() -> list[str]:
    db.session.rollback()
    return [alarm.name for alarm in alarms.current()]


def test_every_alarm_has_words(eve: Browser, now: Clock) -> None:
    every = {*alarms.NAMES, alarms.BREAKER}
    assert set(MEANINGS) == every
    for name in sorted(every):
        ring(name, now)
    page = eve.get(PAGE)
    calm(page)
    for title, advice in MEANINGS.values():
        calm(page, shows=str(title))
        calm(page, shows=str(advice))


def test_eve_acknowledges_one_and_says_why(eve: Browser, now: Clock) -> None:
    ring(alarms.MISSED_TEXTS, now, "No text could come in from 13:00 to 14:00 UTC.")
    assert "from 13:00 to 14:00 UTC" in eve.get(PAGE).text
    path = f"{PAGE}/missed_texts/acknowledge"
    page = said(press(eve, path, {"reason": WHY}), eve)
    assert "The alarm has ended." in page and "All is well" in page
    assert names() == []
    [entry] = log("alarm_acknowledged")
    assert (entry.staff_name, entry.subject, entry.reason) == ("eve", "missed_texts", WHY)
    assert "over already" in said(press(eve, path, {"reason": WHY}), eve)
    assert len(log("alarm_acknowledged")) == 1


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201, "\x00\x1b"])
def test_not_without_a_reason(eve: Browser, now: Clock, reason: str) -> None:
    ring(alarms.MISSED_TEXTS, now)
    ring(alarms.SENDING_PAUSED, now)
    before = kept()
    answer = press(eve, f"{PAGE}/missed_texts/acknowledge", {"reason": reason})
    assert errors(answer) == ["Say in a few words what you saw; at most 200 characters."]
    assert value_of(answer, "reason") is not None
    assert answer.text.count('class="error"') == 1, "only beside the one that was pressed"
    assert kept() == before


def test_what_was_typed_stays(eve: Browser, now: Clock) -> None:
    ring(alarms.MISSED_TEXTS, now)
    answer = press(eve, f"{PAGE}/missed_texts/acknowledge", {"reason": "y" * 201})
    assert value_of(answer, "reason") == "y" * 201


def test_the_alarm_of_breakers_ends_with_the_last_one(eve: Browser, now: Clock) -> None:
    """Acknowledging it alone would leave a breaker open that nobody sees."""
    ring(alarms.BREAKER, now)
    first, last = trip(now), trip(now, BreakerScope.COUNTRY, "US")
    page = eve.get(PAGE).text
    assert f"{PAGE}/breaker/acknowledge" not in page
    assert "numbers in United States" in page
    press(eve, f"/admin/breakers/{first}/close", {"reason": WHY})
    assert names() == ["breaker"]
    press(eve, f"/admin/breakers/{last}/close", {"reason": WHY})
    assert names() == [] and breaker.open_now(now=now.now()) == []
    assert [entry.reason for entry in log("breaker_closed")] == [WHY, WHY]
    answer = press(eve, f"/admin/breakers/{last}/close", {"reason": WHY})
    assert "closed already" in said(answer, eve)


def test_a_breaker_cannot_be_acknowledged_past_its_button(eve: Browser, now: Clock) -> None:
    ring(alarms.BREAKER, now)
    trip(now)
    press(eve, f"{PAGE}/breaker/acknowledge", {"reason": WHY})
    assert names() == ["breaker"]


def test_a_block_of_numbers_is_masked(eve: Browser, now: Clock) -> None:
    trip(now, BreakerScope.PREFIX, "0" * 64)
    assert "+1202555" not in eve.get(PAGE).text


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "nobody", HOSTILE])
def test_back_leads_only_to_a_site_of_ours(eve: Browser, now: Clock, back: str) -> None:
    """SEC-45."""
    answer = press(eve, f"/admin/breakers/{trip(now)}/close", {"reason": WHY, "back": back})
    assert answer.headers["Location"] == PAGE


def test_vic_looks_and_changes_nothing(town: Town, now: Clock) -> None:
    ring(alarms.MISSED_TEXTS, now)
    number = trip(now)
    page = vic_viewer(town).get(PAGE)
    assert page.status_code == 200 and "/acknowledge" not in page.text
    posts = [f"{PAGE}/missed_texts/acknowledge", f"/admin/breakers/{number}/close"]
    refuses(town, Role.VIEWER, gets=[], posts=posts)


def test_an_alarm_that_there_is_not(eve: Browser) -> None:
    for name in ("nobody", "x" * 100, "%00", "missed_texts"):
        answer = press(eve, f"{PAGE}/{name}/acknowledge", {"reason": WHY})
        assert "over already" in said(answer, eve)
    assert log("alarm_acknowledged") == []


def test_hostile_words_are_only_words(eve: Browser, now: Clock) -> None:
    """SEC-38."""
    ring(alarms.SENDING_PAUSED, now, HOSTILE)
    trip(now, key=HOSTILE)
    calm(eve.get(PAGE), shows=HOSTILE)
    calm(press(eve, f"{PAGE}/sending_paused/acknowledge", {"reason": HOSTILE * 3}))
    press(eve, f"{PAGE}/sending_paused/acknowledge", {"reason": HOSTILE})
    calm(eve.get("/admin/activity"), shows=HOSTILE)


def test_looking_changes_nothing(eve: Browser, now: Clock) -> None:
    ring(alarms.MISSED_TEXTS, now)
    before = kept()
    assert eve.get(PAGE).status_code == 200
    assert kept() == before
