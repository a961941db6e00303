"""The page of the history: filters in the address, rows in words, numbers never in an address."""

import re
from datetime import UTC, datetime
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
import sqlalchemy as sa

from prefcenter.consent import by_hand, ledger, people
from prefcenter.consent.by_hand import Channel, Wish
from prefcenter.consent.ledger import Proof
from prefcenter.database import db, writing
from prefcenter.models import Category, EventKind, Source
from prefcenter.models_staff import Role
from prefcenter.upkeep import history
from tests.cast import ALICE, BOB, CAROL, Town
from tests.cast import rows as all_rows
from tests.conftest import Browser, Clock
from tests.staff_room import dana_owner, log, press, sign_in, vic_viewer

HTMX = {"HX-Request": "true"}
EVIL = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
_ROW = re.compile(r'<tr class="jk" role="row">(.*?)</tr>', re.S)
_HREF = re.compile(r'href="(/admin/history[^"]*)"')


def rows(page: str) -> list[str]:
    """The text of each row."""
    return [" ".join(unescape(re.sub(r"<[^>]+>", " ", r)).split()) for r in _ROW.findall(page)]


def link(page: str, words: str) -> str:
    found = re.search(rf'<a [^>]*href="([^"]+)"[^>]*>{re.escape(words)}</a>', page)
    assert found, words
    return unescape(found[1])


def stop_by_phone(number: str, now: datetime, note: str = "She phoned", by: str = "Dana") -> None:
    with writing():
        person = people.by_number(number)
        assert person is not None
        by_hand.revoke(person, Wish(Channel.PHONE, now, note, by), now=now)
        db.session.commit()


def test_every_change_stands_there_newest_first_and_masked(town: Town, now: Clock) -> None:
    town.alice()
    now.forward(minutes=5)
    town.carol()
    page = vic_viewer(town).get("/admin/history").text
    found = rows(page)
    assert len(found) == 5
    assert "Stopped all texts" in found[0]
    assert "+1 ••• 0145" in found[0]
    assert "Preferences page customer" in found[0]
    assert "Asked for texts" in found[4]
    assert "Asked for: Sales and offers" in found[4]
    assert "5 changes" in page
    for number in (ALICE, CAROL):
        assert number not in page
        assert number[2:] not in page
    person = town.person(CAROL).public_id
    assert f'href="/admin/people/{person}"' in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("what=revoked", ["Stopped all texts", "Stopped all texts"]),
        ("action=opt-in&through=preference_page", ["Said yes"] * 3),
        ("through=admin", ["Stopped all texts"]),
        ("by=Dana", ["Stopped all texts"]),
        ("by=Nobody", []),
        ("note=PHONED", ["Stopped all texts"]),
        ("note=letter", []),
        ("site=prefs.test&what=requested", ["Asked for texts"] * 4),
        ("category=events", ["Said yes", "Asked for texts"]),
        ("country=US&what=confirmed", ["Said yes"] * 3),
        ("country=GB", []),
        ("from=2026-11-24&to=2026-11-24&what=revoked", ["Stopped all texts"] * 2),
        ("to=2026-11-23", []),
        ("from=2026-11-25", []),
    ],
)
def test_each_filter(town: Town, now: Clock, query: str, expected: list[str]) -> None:
    town.alice()
    town.alice("+12025550160", categories=("events",))
    town.bob()
    town.carol()
    stop_by_phone(ALICE, now.now())
    page = vic_viewer(town).get(f"/admin/history?{query}")
    assert page.status_code == 200
    found = [next((w for w in _TITLES if w in row), "?") for row in rows(page.text)]
    assert found == expected
    fragment = vic_viewer(town).get(f"/admin/history?{query}", headers=HTMX)
    assert "<html" not in fragment.text
    assert len(rows(fragment.text)) == len(expected)


_TITLES = ("Stopped all texts", "Said yes", "Asked for texts")


@pytest.mark.settings(TIME_ZONE="America/New_York")
def test_days_are_those_of_the_readers_clock(town: Town, now: Clock) -> None:
    now.moment = datetime(2026, 11, 25, 4, 30, tzinfo=UTC)  # the 24th, half past eleven at night
    town.bob()
    vic = vic_viewer(town)
    assert len(rows(vic.get("/admin/history?from=2026-11-24&to=2026-11-24").text)) == 1
    assert rows(vic.get("/admin/history?from=2026-11-25").text) == []
    page = vic.get("/admin/history").text
    assert "24 Nov 2026" in page
    assert 'title="2026-11-25 04:30:00 UTC"' in page


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("from=yesterday", "Write a day like 2026-11-24."),
        ("to=9999-12-31", "Write a day like 2026-11-24."),
        ("from=0001-01-01", "Write a day like 2026-11-24."),
        ("from=2026-11-24&to=2026-11-23", "This day is before the first one."),
        ("what=sold", "Choose one of the list."),
        ("through=pigeon", "Choose one of the list."),
        ("action=maybe", "Choose one of the list."),
    ],
)
def test_a_wrong_filter_gets_a_sentence_and_stays_as_typed(
    town: Town, query: str, sentence: str
) -> None:
    town.bob()
    page = vic_viewer(town).get(f"/admin/history?{query}")
    assert page.status_code == 422
    assert sentence in page.text
    assert "<title>Error: History" in page.text
    assert rows(page.text) == []
    name, value = parse_qsl(query)[-1]
    if name in ("from", "to"):
        assert f'value="{value}"' in page.text
    fragment = vic_viewer(town).get(f"/admin/history?{query}", headers=HTMX)
    assert fragment.status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "before=x", "after=1", "before=-1-1", f"before={'9' * 17}-1", f"after=1-{'9' * 18}",
        "site=%00", "note=%25%5f%00", "by=%F0%9F%92%A9", f"note={'x' * 5000}", "category=..",
        "before=1-1&after=1-1", "lang=es&what=revoked",
    ],
)  # fmt: skip
def test_no_odd_address_breaks_it(town: Town, query: str) -> None:
    town.bob()
    assert vic_viewer(town).get(f"/admin/history?{query}").status_code == 200


def test_a_person_that_is_not_there_is_404(town: Town) -> None:
    page = vic_viewer(town).get("/admin/history?person=nobody")
    assert page.status_code == 404
    assert "There is nobody like this any more" in page.text


def test_older_changes_are_read_on_with_and_without_scripts(
    town: Town, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        with writing():
            who = people.enrol(f"+12025551{number:03}", "US", "en", now=now.now())
            proof = Proof(source=Source.WIDGET, detail="shop")
            changes = {"requested": ["offers"], "request_expires_at": now.now().isoformat()}
            ledger.record(who, EventKind.REQUESTED, proof, now=now.now(), changes=changes)
            db.session.commit()
        now.forward(seconds=1)
    vic = vic_viewer(town)
    first = vic.get("/admin/history?what=requested")
    assert len(rows(first.text)) == 50
    older = link(first.text, "Older changes")
    assert dict(parse_qsl(urlsplit(older).query))["what"] == "requested"
    whole = vic.get(older)
    assert len(rows(whole.text)) == 10
    assert "Older changes" not in whole.text
    appended = vic.get(older, headers=HTMX)
    assert rows(appended.text) == rows(whole.text)
    assert appended.text.lstrip().startswith("<tr")
    assert "HX-Push-Url" not in appended.headers
    back = vic.get(link(whole.text, "Newer changes"))
    assert rows(back.text) == rows(first.text)


def test_news_are_counted_and_a_poll_is_no_sign_of_life(town: Town, now: Clock) -> None:
    vic = vic_viewer(town)
    town.bob()
    page = vic.get("/admin/history?what=requested").text
    poll = unescape(re.search(r'hx-get="(/admin/history/new[^"]*)"', page)[1])  # type: ignore[index]  # it is there
    assert vic.get(poll, headers=HTMX).status_code == 204
    town.bob("+12025550150")
    town.carol()
    now.forward(minutes=10)
    before = all_rows()
    news = vic.get(poll, headers=HTMX)
    assert "2 new changes" in news.text
    assert 'href="/admin/history?what=requested"' in news.text
    assert all_rows() == before  # SEC-42: an open page alone keeps nobody signed in
    assert vic.get("/admin/history/new?seen=x", headers=HTMX).status_code == 204
    assert vic.get(f"/admin/history/new?seen={'9' * 30}", headers=HTMX).status_code == 204


def test_a_number_is_typed_into_a_form_and_stands_in_no_address(town: Town) -> None:
    town.alice()
    town.bob()
    vic = vic_viewer(town)
    answer = press(vic, "/admin/history/number", {"number": "(202) 555-0143", "what": "confirmed"})
    assert answer.status_code == 303
    there = urlsplit(answer.location)
    person = town.person(ALICE).public_id
    assert dict(parse_qsl(there.query)) == {"what": "confirmed", "person": person}
    page = vic.get(answer.location).text
    assert len(rows(page)) == 1
    assert "Only of" in page
    [entry] = log("number_searched")
    assert entry.details == {"number": "…0143", "found": 1}
    assert entry.staff_name == "vic"


def test_the_last_four_digits_lead_to_a_choice(town: Town) -> None:
    town.bob("+12025550170")
    town.bob("+12028880170")
    vic = vic_viewer(town)
    page = press(vic, "/admin/history/number", {"number": "0170"})
    assert page.status_code == 200
    assert "2 numbers found" in page.text
    for number in ("+12025550170", "+12028880170"):
        person = town.person(number).public_id
        assert f"/admin/history?person={person}" in page.text
        assert number not in page.text
    none = press(vic, "/admin/history/number", {"number": "9999"})
    assert "No number ends with or contains 9999." in none.text
    assert [entry.details["found"] for entry in log("number_searched")] == [2, 0]


def test_what_is_no_number_is_said_beside_the_field_and_not_logged(town: Town) -> None:
    page = press(vic_viewer(town), "/admin/history/number", {"number": "no <b>number", "by": "x"})
    assert page.status_code == 422
    assert "Type a whole number, or its last four digits." in page.text
    assert "no &lt;b&gt;number" in page.text
    assert log("number_searched") == []


def test_with_nothing_there_it_says_how_to_begin(town: Town) -> None:
    vic = vic_viewer(town)
    page = vic.get("/admin/history").text
    assert "No opt-ins yet" in page
    assert "Text yourself a test" in page
    town.bob()
    assert "Nothing happened in these days" in vic.get("/admin/history?to=2020-01-01").text
    nothing = vic.get("/admin/history?to=2020-01-01&what=erased").text
    assert "No change is like this" in nothing
    assert link(nothing, "Look at all dates") == "/admin/history?what=erased"


def test_hostile_text_is_text(town: Town, now: Clock) -> None:
    """SEC-38: whatever a customer or a colleague wrote is shown, never run."""
    town.alice()
    stop_by_phone(ALICE, now.now(), note=EVIL, by=EVIL[:80])
    with writing():
        kind = db.session.scalars(sa.select(Category).where(Category.slug == "offers")).one()
        kind.name = EVIL
        who = people.enrol(BOB, "US", "en", now=now.now())
        for source in (Source.SMS, Source.WIDGET, Source.API):
            changes = {"word": EVIL, "requested": [EVIL], "frequency": "<img src=x>"}
            changes |= {"language": "<img s>", "request_expires_at": now.now().isoformat()}
            proof = Proof(source=source, detail=EVIL)
            ledger.record(who, EventKind.REQUESTED, proof, now=now.now(), changes=changes)
        db.session.commit()
    dana = dana_owner(town)
    for path in ("/admin/history", "/admin/history?by=" + EVIL.replace("&", "%26")):
        for headers in ({}, HTMX):
            page = dana.get(path, headers=headers)
            assert "<img" not in page.text
            assert "{{7*7}}" in page.text
            assert ">49<" not in page.text
            assert page.status_code == 200


def test_only_an_owner_may_export(town: Town) -> None:
    town.bob()
    for role, status in ((Role.VIEWER, 403), (Role.EDITOR, 403), (Role.OWNER, 200)):
        browser = sign_in(town, role, role.value)
        assert ("Export these changes" in browser.get("/admin/history").text) is (status == 200)
        answer = press(browser, "/admin/history/export", {"reason": "audit", "format": "csv"})
        assert answer.status_code == status


def test_an_export_needs_a_reason(town: Town) -> None:
    town.bob()
    page = press(dana_owner(town), "/admin/history/export", {"format": "ndjson", "what": "expired"})
    assert page.status_code == 422
    assert "Say why; it is kept in the admin log." in page.text
    assert '<option value="ndjson" selected>' in page.text
    assert log("history_exported") == []


def test_looking_writes_nothing(town: Town) -> None:
    """INV-8."""
    town.alice()
    vic: Browser = vic_viewer(town)
    before = all_rows()
    for path in ("/admin/history", "/admin/history?note=x&site=y", "/admin/exports"):
        assert vic.get(path).status_code == 200
    assert all_rows() == before


def test_what_the_database_gives_up_on_is_said(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The filters stay, so that somebody can take one off or choose fewer days."""
    town.bob()

    def gives_up(*_: object, **__: object) -> None:
        raise history.TooLong

    monkeypatch.setattr(history, "page", gives_up)
    page = vic_viewer(town).get("/admin/history?what=revoked&site=x")
    assert page.status_code == 422
    assert "That takes too long." in page.text
    assert '<option value="revoked" selected>' in page.text
