"""Finding a number and one person's page: the whole story, masked, hostile texts as texts."""

import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import config
from prefcenter.consent import audit, breaker, ledger, people, suppression
from prefcenter.consent.ledger import Proof
from prefcenter.database import db, writing
from prefcenter.models import (
    Alarm,
    Deliverability,
    EventKind,
    Inbound,
    Person,
    Source,
    Status,
    TextKind,
)
from prefcenter.models_staff import Role
from prefcenter.sms import alarms
from prefcenter.upkeep import finding
from prefcenter.upkeep.certificate_check import examine
from prefcenter.upkeep.finding import Found, Wanted
from prefcenter.web import guards
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Browser, Clock
from tests.phones import say
from tests.staff_room import dana_owner, eve_editor, log, press, sign_in, vic_viewer
from tests.test_by_hand import correct, sound
from tests.test_erasure import erase

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{7*7}}"
HTMX = {"HX-Request": "true"}


def path(town: Town, number: str = ALICE, more: str = "") -> str:
    return f"/admin/people/{town.person(number).public_id}{more}"


def words(html: str) -> str:
    """A page's words, as a person reads them."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


# --- finding


@pytest.mark.parametrize(
    "typed", [ALICE, "(202) 555-0143", "202-555-0143", "0143", "…0143", " 0143 ", "••• 0143"]
)
def test_a_number_is_found_in_every_form_and_leads_to_its_page(town: Town, typed: str) -> None:
    """SEC-44: the address names a public id, the admin log four digits."""
    town.alice()
    town.bob()
    vic = vic_viewer(town)
    answer = press(vic, "/admin/people", {"number": typed})
    assert (answer.status_code, answer.headers["Location"]) == (303, path(town))
    [entry] = log("number_searched")
    assert (entry.staff_name, entry.details) == ("vic", {"number": "…0143", "found": 1})
    assert ALICE[1:] not in str(vars(entry))


def test_several_with_one_ending_are_listed_masked(town: Town) -> None:
    town.alice()
    town.alice("+12029990143")
    answer = press(vic_viewer(town), "/admin/people", {"number": "0143"})
    assert answer.status_code == 200
    assert answer.text.count("••• 0143") == 2
    assert ALICE not in answer.text and "2025550143" not in answer.text
    assert log("number_searched")[0].details["found"] == 2


def test_nobody_is_an_answer_too(town: Town) -> None:
    vic = vic_viewer(town)
    answer = press(vic, "/admin/people", {"number": "0999"})
    assert answer.status_code == 200 and "Nobody has this number" in answer.text
    answer = press(vic, "/admin/people", {"number": CAROL})
    assert "Record that they want no texts" not in answer.text, "a viewer may not"
    assert [entry.details["found"] for entry in log("number_searched")] == [0, 0]


@on_sqlite
@pytest.mark.parametrize("typed", ["", "12", "020", "hello", "1" * 300, HOSTILE, "%___", "+0"])
def test_what_is_no_number_is_said_beside_the_field_and_stays(town: Town, typed: str) -> None:
    answer = press(vic_viewer(town), "/admin/people", {"number": typed})
    assert answer.status_code == 422
    assert "Type a whole number, or its last four digits." in answer.text
    assert "<script>alert" not in answer.text and "<img" not in answer.text
    assert log("number_searched") == []


def test_while_it_is_typed_the_results_come_alone(town: Town) -> None:
    """HTMX posts as well: a number in no address, and nothing is looked for before it is one."""
    town.alice()
    vic = vic_viewer(town)
    hint = press(vic, "/admin/people", {"number": "01"}, headers=HTMX)
    assert hint.status_code == 200 and "<html" not in hint.text and "Type a whole" in hint.text
    assert log("number_searched") == []
    found = press(vic, "/admin/people", {"number": "0143"}, headers=HTMX)
    assert found.status_code == 200 and "<html" not in found.text
    assert path(town) in found.text
    page = vic.get("/admin/people").text
    assert 'hx-post="/admin/people"' in page and "hx-get" not in page


@pytest.mark.parametrize(
    "typed", ["+1202", "+1 (202", "＋1202", "+12025550", "+3460000", "+120255501432"]
)
def test_while_a_number_with_a_plus_is_typed_nothing_is_looked_for(town: Town, typed: str) -> None:
    """Its first digits are no search for whoever's number ends in them."""
    hint = press(vic_viewer(town), "/admin/people", {"number": typed}, headers=HTMX)
    assert hint.status_code == 200 and "Type a whole" in hint.text
    assert log("number_searched") == []


def test_it_is_looked_for_before_anything_is_written(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan over all numbers must not keep a STOP waiting for the write lock."""
    town.alice()
    real, free = finding.find, []

    def find(wanted: Wanted) -> list[Found]:
        free.append(not db.session().in_transaction())
        return real(wanted)

    monkeypatch.setattr(finding, "find", find)
    vic = vic_viewer(town)
    press(vic, "/admin/people", {"number": "0143"})
    press(vic, "/admin/history/number", {"number": "0143"})
    assert free == [True, True] and len(log("number_searched")) == 2


def test_the_page_starts_with_whose_ledger_grew_last(town: Town, now: Clock) -> None:
    vic = vic_viewer(town)
    empty = vic.get("/admin/people")
    assert "No opt-ins yet" in empty.text and "/admin/sites" in empty.text
    town.alice()
    now.forward(minutes=20)
    town.bob()
    text = vic.get("/admin/people").text
    assert text.index("0144") < text.index("0143")
    assert vic.get("/admin/people?number=0143").text.count(path(town)) == 1, "no search by address"
    assert log("number_searched") == []


# --- the page


def busy_alice(town: Town, now: Clock) -> None:
    town.sign_up(ALICE, ("offers",))
    town.work()
    now.forward(minutes=1)
    town.browser.post(town.last_link(ALICE))
    town.work()
    link = town.last_link(ALICE)
    now.forward(days=1)
    town.browser.post(
        link,
        data={
            "shown": ["offers", "events"],
            "categories": ["events"],
            "frequency": "1/week",
            "language": "es",
        },
    )
    now.forward(hours=1)
    say(town, "STOP")
    town.work()
    now.forward(hours=1)


def test_the_story_says_what_happened_newest_first(town: Town, now: Clock) -> None:
    """RULE-16: consents and texts in one column, what was seen, who acted, before and after."""
    busy_alice(town, now)
    page = vic_viewer(town).get(path(town))
    assert page.status_code == 200
    text = words(page.text)
    titles = (
        "We texted that texts are off",
        "Stopped all texts",
        "They texted us",
        "Changed their choices",
        "We texted the welcome",
        "Said yes",
        "We texted a link to confirm",
        "Asked for texts",
    )
    story = text.partition("Everything that happened")[2]
    places = [story.find(title) for title in titles]
    assert -1 not in places and places == sorted(places), dict(zip(titles, places, strict=True))
    assert "At most: Whenever there is news → became Once a week" in text
    assert "read as “stop”" in text
    assert "127.0.0.0/24" in text, "the network address is cut short"
    assert "127.0.0.1" not in text
    assert "Consent text, version 1 (en)" in text
    assert "By pressing “Yes, text me” you agree" in text
    head = town.person(ALICE).ledger_head
    assert head[:12] in text
    assert "••• 0143" in text and ALICE not in page.text and "2025550143" not in page.text
    for shown in ("Stopped", "Events near you", "Once a week", "Español", "United States"):
        assert shown in text
    assert not re.search(r"/[cpul]/[a-z2-7]{31}", page.text), "no key to her page"


def test_times_are_on_the_readers_clock_with_utc_beside(town: Town, now: Clock) -> None:
    town.alice()
    vic = vic_viewer(town)
    with writing():
        db.session.execute(sa.text("UPDATE staff SET zone = 'America/New_York'"))
        db.session.commit()
    text = vic.get(path(town)).text
    assert "10:00:00" in text and "2026-11-24 15:00:00 UTC" in text


HOSTILE_TEXTS = [
    HOSTILE,
    "javascript:alert(1)",
    "</textarea></p></details><script src=//evil></script>",
    "\u202eSTOP\u2066 <b>bold</b> &lt;i&gt;",
    "'; DROP TABLE person; --",
    "{% raw %}{{ config }}{% endraw %}",
]


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_whatever_a_customer_sends_is_only_text(town: Town, now: Clock, text: str) -> None:
    """SEC-38: every field that a customer fills, on her page, in review and on the certificate."""
    town.browser.environ_base["HTTP_USER_AGENT"] = (
        f"Mozilla {text}"[:200].encode("ascii", "replace").decode()
    )
    town.alice()
    say(town, text)
    say(town, f"no thanks {text}")
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        proof = Proof(
            source=Source.WIDGET,
            detail=text[:200],
            answer={"button": text, text[:40]: text},
            page_url=text,
            ip=text[:40],
            user_agent=text,
        )
        ledger.record(person, EventKind.NOTED, proof, now=now.now(), changes={"word": text})
        db.session.commit()
    dana = dana_owner(town)
    pages = [dana.get(path(town)), dana.get("/admin/review"), dana.get("/admin/people")]
    pages.append(press(dana, path(town, more="/certificate"), {"reason": text}))
    pages.append(press(dana, path(town, more="/link"), {"reason": ""}))
    for page in pages:
        assert page.status_code in (200, 422)
        assert not re.search(
            r"<script(?! src=\"/assets/)|<img|<b>bold|onerror=alert\(2\)>", page.text
        )
        assert "evil></script>" not in page.text
        assert "Settings(" not in page.text and "49" not in re.findall(r"> (49) <", page.text)


def test_a_story_is_read_on_by_place_without_gap_or_repeat(town: Town, now: Clock) -> None:
    """Keyset: 300 events in the same few seconds, texts between them; scripts and none."""
    town.alice()
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        for number in range(300):
            now.forward(seconds=number % 3 == 0)
            proof = Proof(source=Source.PREFERENCE_PAGE, answer={"button": f"press {number}"})
            changes = {"frequency": "1/week" if number % 2 else "all"}
            ledger.record(person, EventKind.CHANGED, proof, now=now.now(), changes=changes)
        db.session.add_all(
            Inbound(
                message_id=f"m-{number}",
                number=ALICE,
                ours="+12025550100",
                text=f"Question {number}",
                received_at=now.now(),
                handled_at=now.now(),
            )
            for number in range(90)
        )
        db.session.commit()
    vic, seen, link = vic_viewer(town), [], path(town)
    for turn in range(20):
        page = vic.get(link, headers=HTMX if turn % 2 else {})
        seen += re.findall(r'<li class="jk" id="([^"]+)"', page.text)
        found = re.search(r'rel="next" href="([^"]+)"', page.text)
        if not found:
            break
        link = unescape(found[1])
        assert "202" not in link.replace(str(town.person(ALICE).public_id), "").split("?")[0]
    assert len(seen) == len(set(seen)) == 2 + 300 + 90 + len(town.outbox(ALICE))


@on_sqlite
def test_five_thousand_events_are_no_trouble(town: Town, now: Clock) -> None:
    town.alice()
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        proof = Proof(source=Source.PREFERENCE_PAGE)
        for number in range(5000):
            changes = {"frequency": "1/week" if number % 2 else "all"}
            at = now.now() + timedelta(seconds=number)
            ledger.record(person, EventKind.CHANGED, proof, now=at, changes=changes)
        db.session.commit()
    now.forward(days=2)
    vic = vic_viewer(town)
    page = vic.get(path(town))
    assert page.status_code == 200 and "5002 events" in words(page.text).replace(",", "")
    on = vic.get(path(town, more=f"?on={now.now().date()}&time=00:00"))
    assert "Yes, it was subscribed." in on.text


@pytest.mark.parametrize(
    "before", ["x", "1-9-1", "-1", "1-1-" + "9" * 30, "9" * 17 + "-1-1", HOSTILE]
)
def test_a_place_that_we_never_wrote_shows_the_newest_or_nothing(town: Town, before: str) -> None:
    town.alice()
    answer = vic_viewer(town).get(path(town), query_string={"before": before})
    assert answer.status_code == 200


@pytest.mark.parametrize("unknown", ["x", "A" * 22, "-" * 22, "unknown", "a%00b"])
def test_an_unknown_person_is_404(town: Town, unknown: str) -> None:
    dana = dana_owner(town)
    assert dana.get(f"/admin/people/{unknown}").status_code in (404, 405)
    assert dana.get(f"/admin/people/{unknown}/revoke").status_code in (404, 405)
    for act in ("revoke", "number", "erase", "certificate", "certificate.json"):
        answer = press(dana, f"/admin/people/{'A' * 22}/{act}", {"reason": "x"})
        assert answer.status_code == 404, act


def test_a_former_owner_has_a_page_and_keeps_their_own_story(town: Town, now: Clock) -> None:
    link = town.alice()
    say(town, "I am the first one")
    now.forward(minutes=1)
    public_id = town.person(ALICE).public_id
    town.browser.post(f"{link}/not-mine")
    now.forward(days=1)
    town.alice()
    say(town, "I am the second one")
    vic = vic_viewer(town)
    former, present = vic.get(f"/admin/people/{public_id}").text, vic.get(path(town)).text
    assert "Former owner of a number" in former and "Number has a new owner" in former
    assert "the first one" in former and "the second one" not in former
    assert "the second one" in present and "the first one" not in present
    assert "We texted the welcome" in former
    assert ALICE[2:] not in former


# --- on a date


def test_was_this_number_subscribed_on_a_day(town: Town, now: Clock) -> None:
    """Show 3: in words, on the reader's clock, with the event that decides."""
    link = town.alice()
    now.forward(days=5)
    town.browser.post(f"{link}/stop")
    now.forward(days=5)
    vic = vic_viewer(town)

    def ask(query: str) -> str:
        answer = vic.get(path(town, more=f"?{query}"))
        assert answer.status_code == 200
        return words(answer.text)

    assert "No. Nothing is known of this number from before then." in ask("on=2026-11-23")
    assert "Yes, it was subscribed. Decided by: Said yes, 24 Nov 2026" in ask("on=2026-11-25")
    day = ask("on=2026-11-29")
    assert "At the beginning of that day Yes, it was subscribed." in day
    assert "No. It had stopped all texts. Decided by: Stopped all texts" in day
    assert "Yes, it was subscribed." in ask("on=2026-11-29&time=14:59:59")
    assert "No. It had stopped all texts." in ask("on=2026-11-29&time=15:00:00")
    alone = vic.get(path(town, more="?on=2026-11-25"), headers=HTMX).text
    assert "<html" not in alone and "Yes, it was subscribed." in alone
    assert 'id="answer-title"' in alone and "timeline" not in alone


@on_sqlite
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("on=yesterday", "Write the day like 2026-04-10"),
        ("on=2026-02-30", "Write the day like 2026-04-10"),
        ("on=2026-11-24&time=25:00", "Write the day like 2026-04-10"),
        ("on=2026-11-24&time=10:00%2B02:00", "Write the day like 2026-04-10"),
        ("on=9999-12-31", "Write the day like 2026-04-10"),
        ("on=0001-01-01", "Nothing is known"),
        ("on=2026-11-25", "That has not come yet"),
        (f"on={'9' * 5000}", "Write the day like 2026-04-10"),
        ("on=%3Cscript%3E", "Write the day like 2026-04-10"),
    ],
)
def test_a_day_that_cannot_be_answered_for_is_said(town: Town, query: str, says: str) -> None:
    town.alice()
    answer = vic_viewer(town).get(path(town, more=f"?{query}"))
    assert says in answer.text and "<script>" not in answer.text
    assert answer.status_code == (200 if says.startswith("Nothing") else 422)


def test_an_edited_ledger_is_no_500(town: Town) -> None:
    """Somebody with the database's password wrote a move that is not allowed."""
    town.alice()
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        person.status = Status.PENDING
        ledger.record(person, EventKind.CONFIRMED, Proof(Source.SMS), now=town.now())
        db.session.commit()
    dana = dana_owner(town)
    assert dana.get(path(town)).status_code == 200
    answer = dana.get(path(town, more="?on=2026-11-24"))
    assert answer.status_code == 422 and "does not add up" in answer.text
    answer = press(dana, path(town, more="/certificate"), {"reason": "x"})
    assert answer.status_code == 409 and "does not add up" in answer.text


# --- acting


def test_a_call_is_recorded_and_stops_at_once(town: Town, now: Clock) -> None:
    """RULE-20, RULE-21: reason, channel and time on the form; 303 and a sentence."""
    town.alice()
    town.work()
    eve = eve_editor(town)
    page = eve.get(path(town, more="/revoke"))
    assert "They last said yes" in page.text and 'value="2026-11-24"' in page.text
    data = {"channel": "phone", "on": "2026-11-24", "time": "14:00", "reason": "No more, she said."}
    answer = press(eve, path(town, more="/revoke"), data)
    assert (answer.status_code, answer.headers["Location"]) == (303, path(town))
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert town.work() == []
    after = eve.get(path(town)).text
    assert "All texts are off, from now on." in after
    assert "They phoned" in after and "No more, she said." in after and ">eve<" in after
    [entry] = log("person_revoked")
    assert entry.subject == town.person(ALICE).public_id
    assert entry.reason == "", "her words stand in the proof, where they can be erased"
    assert entry.details == {"channel": "phone", "at": "2026-11-24T14:00:00+00:00"}
    sound()


@on_sqlite
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"channel": "pigeon"}, "Choose how they told you."),
        ({"reason": " "}, "Write a reason of 1 to 300 characters."),
        ({"reason": "x" * 301}, "Write a reason of 1 to 300 characters."),
        ({"on": "soon"}, "Write the day like 2026-04-10"),
        ({"on": "2026-11-25"}, "That has not come yet."),
        ({"on": "9999-12-31"}, "That has not come yet."),
        ({"time": "15:06"}, "That has not come yet."),
        ({"time": ""}, "Write the day like 2026-04-10"),
    ],
)
def test_a_form_that_is_wrong_changes_nothing_and_keeps_what_was_typed(
    town: Town, wrong: dict[str, str], says: str
) -> None:
    town.alice()
    eve = eve_editor(town)
    data = {"channel": "letter", "on": "2026-11-24", "time": "14:00", "reason": "She wrote."}
    before = rows()
    answer = press(eve, path(town, more="/revoke"), data | wrong)
    assert answer.status_code == 422 and says in answer.text
    assert rows() == before
    if "reason" not in wrong:
        assert "She wrote." in answer.text


def test_a_link_is_sent_to_a_subscriber_alone(town: Town, now: Clock) -> None:
    """RULE-43: for Carol there is no such button, and a forged press is refused."""
    town.alice()
    town.carol()
    now.forward(hours=1)
    eve = eve_editor(town)
    answer = press(eve, path(town, more="/link"), {"reason": "She lost hers."})
    assert answer.status_code == 303
    assert [parcel.kind for parcel in town.work()] == [TextKind.NEW_LINK]
    again = press(eve, path(town, more="/link"), {"reason": "Again."})
    assert again.status_code == 409 and "enough texts lately" in again.text
    assert "/link" not in eve.get(path(town, CAROL)).text
    refused = press(eve, path(town, CAROL, "/link"), {"reason": "x"})
    assert refused.status_code == 409 and town.work() == []
    assert [entry.reason for entry in log("link_sent")] == ["She lost hers."]
    assert "She lost hers." in eve.get(path(town)).text


def test_a_breaker_that_a_link_trips_stays_open(town: Town, now: Clock) -> None:
    """SEC-30: nothing is sent, and the operator hears why."""
    town.alice()
    eve, site = eve_editor(town), config.current().site
    with writing():
        alice = people.by_number(ALICE)
        assert alice is not None
        for _ in range(100):
            breaker.note(alice, site, now=now.now())
        db.session.commit()
    answer = press(eve, path(town, more="/link"), {"reason": "She lost hers."})
    assert answer.status_code == 409 and town.work() == []
    assert f"site {site}" in [row.label for row in breaker.open_now(now=now.now())]
    assert [row.name for row in db.session.scalars(sa.select(Alarm))] == [alarms.BREAKER]
    assert log("link_sent") == []


def test_deliverability_is_corrected(town: Town) -> None:
    town.alice()
    eve = eve_editor(town)
    wrong = press(eve, path(town, more="/deliverability"), {"reason": "x", "deliverability": "ok"})
    assert wrong.status_code == 422 and "Choose one of these." in wrong.text
    data = {"reason": "The post office says so.", "deliverability": "invalid"}
    assert press(eve, path(town, more="/deliverability"), data).status_code == 303
    assert town.person(ALICE).deliverability is Deliverability.INVALID
    [entry] = log("deliverability_corrected")
    assert entry.details == {"deliverability": ["ok", "invalid"]}


def test_a_new_owner_is_noted(town: Town) -> None:
    town.alice()
    eve, page = eve_editor(town), path(town)
    assert press(eve, f"{page}/owner", {"reason": "He rang."}).status_code == 303
    shown = eve.get(page).text
    assert "Former owner of a number" in shown and "He rang." in shown
    assert press(eve, f"{page}/owner", {"reason": "again"}).status_code == 409
    sound()


def test_the_full_number_is_shown_once_to_an_owner_with_a_reason(town: Town) -> None:
    """SEC-44: by POST, logged, never in an address; a viewer and an editor may not."""
    town.alice()
    dana = dana_owner(town)
    assert ALICE not in dana.get(path(town, more="/number")).text
    refused = press(dana, path(town, more="/number"), {"reason": ""})
    assert refused.status_code == 422 and "0143" in refused.text and "555-0143" not in refused.text
    shown = press(dana, path(town, more="/number"), {"reason": "The police asked."})
    assert shown.status_code == 200 and "+1 202-555-0143" in shown.text
    assert shown.headers["Cache-Control"] == "no-store"
    [entry] = log("number_shown")
    assert (entry.staff_name, entry.reason, entry.details) == ("dana", "The police asked.", {})
    after = dana.get(path(town)).text
    assert "Showed a whole number" in after and "The police asked." in after
    assert "555-0143" not in after


def test_a_person_is_erased_and_their_page_says_only_that(town: Town, now: Clock) -> None:
    """RULE-63."""
    busy_alice(town, now)
    dana, page = dana_owner(town), path(town)
    asked = dana.get(f"{page}/erase").text
    assert "keyed hash" in asked
    assert press(dana, f"{page}/erase", {"reason": ""}).status_code == 422
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert press(dana, f"{page}/erase", {"reason": "She wrote."}).status_code == 303
    shown = words(dana.get(page).text)
    assert "Erased person" in shown and "The person is erased." in shown
    assert "Act for this person" not in shown
    assert "They texted us" not in shown and "127.0.0" not in shown
    assert suppression.contains(ALICE)
    again = press(dana, f"{page}/erase", {"reason": "again"})
    assert again.status_code == 409
    for act in ("revoke", "link", "owner", "number"):
        assert press(dana, f"{page}/{act}", {"reason": "x"}).status_code in (409, 422), act
    [entry] = log("person_erased")
    assert set(entry.details) == {"texts", "evidence"}
    sound()


@pytest.mark.parametrize(
    "typed", ["(202) 555-0143", "+12025550143", "12025550143", "00 1 202 555 0143"]
)
def test_a_reason_that_names_the_number_is_kept_without_it(
    town: Town, now: Clock, typed: str
) -> None:
    """SEC-7, SEC-48: what staff write stays for good, also when the person is gone."""
    town.alice()
    now.forward(days=1)
    dana, page = dana_owner(town), path(town)
    reason = {"reason": f"id{typed} rang on 2026-11-24 at 14:59, and so did +1 202 555 0144"}
    kept = "id…0143 rang on 2026-11-24 at 14:59, and so did …0144"
    assert press(dana, f"{page}/link", reason).status_code == 303
    assert press(dana, f"{page}/certificate", reason).status_code == 200
    assert press(dana, f"{page}/erase", reason).status_code == 303
    for action in ("link_sent", "certificate_taken", "person_erased"):
        assert [entry.reason for entry in log(action)] == [kept], action
    assert ALICE[1:] not in str(rows()) and typed not in str(rows())


def test_the_same_human_twice_is_erased_on_both_pages(town: Town, now: Clock) -> None:
    """SEC-20, RULE-63: out of service for a while, she signed up again as somebody new; her
    former row is offered, and not erased unasked: it may be another owner's proof."""
    town.alice()
    former = town.person(ALICE).public_id
    correct(town, ALICE, Deliverability.DEACTIVATED)
    now.forward(days=2)
    town.alice()
    dana = dana_owner(town)
    assert former not in dana.get(path(town, more="/revoke")).text
    assert f'href="/admin/people/{former}"' in dana.get(path(town, more="/erase")).text
    assert path(town) not in dana.get(f"/admin/people/{former}/erase").text
    assert press(dana, path(town, more="/erase"), {"reason": "x"}).status_code == 303
    assert ALICE[1:] in str(rows())
    assert press(dana, f"/admin/people/{former}/erase", {"reason": "x"}).status_code == 303
    assert ALICE[1:] not in str(rows())


@on_sqlite
def test_after_the_button_no_file_holds_the_number(town: Town, tmp_path: Path) -> None:
    """RULE-63: SQLite's log is emptied at once, not when it happens to be full."""
    town.alice()
    assert press(dana_owner(town), path(town, more="/erase"), {"reason": "x"}).status_code == 303
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert ALICE[1:].encode() not in kept


def test_somebody_we_never_heard_of_is_stopped_by_hand(town: Town, now: Clock) -> None:
    """RULE-31: each request is recorded, also of a number that never signed up."""
    eve = eve_editor(town)
    found = press(eve, "/admin/people", {"number": CAROL})
    assert "/admin/people/unknown" in found.text
    asked = press(eve, "/admin/people/unknown", {"number": CAROL})
    assert asked.status_code == 200 and "••• 0145" in words(asked.text)
    data = {"number": CAROL, "channel": "phone", "on": "2026-11-24", "time": "14:59"}
    wrong = press(eve, "/admin/people/unknown/revoke", data)
    assert wrong.status_code == 422 and 'value="14:59"' in wrong.text
    done = press(eve, "/admin/people/unknown/revoke", {**data, "reason": "No texts, please."})
    assert (done.status_code, done.headers["Location"]) == (303, path(town, CAROL))
    assert suppression.contains(CAROL)
    for more in ("", "/revoke"):
        lost = press(eve, f"/admin/people/unknown{more}", {"number": "0145"})
        assert (lost.status_code, lost.headers["Location"]) == (303, "/admin/people")
    town.sign_up(CAROL)
    assert town.work() == []
    sound()


# --- the certificate


def test_an_owner_takes_a_certificate_that_is_whole(town: Town, now: Clock) -> None:
    """Show 4, SEC-44: with a reason, by POST, logged; page and file."""
    busy_alice(town, now)
    dana = dana_owner(town)
    assert ALICE not in dana.get(path(town, more="/certificate")).text
    for form in ("certificate", "certificate.json"):
        wrong = press(dana, path(town, more=f"/{form}"), {"reason": ""})
        assert wrong.status_code == 422
    file = press(dana, path(town, more="/certificate.json"), {"reason": "For the court."})
    assert file.mimetype == "application/json"
    disposition = file.headers["Content-Disposition"]
    assert re.fullmatch(r'attachment; filename="certificate-[0-9a-f]{8}\.json"', disposition)
    assert file.headers["Cache-Control"] == "no-store"
    faults, told = examine(file.data)
    assert faults == [] and told and told.head == town.person(ALICE).ledger_head
    page = press(dana, path(town, more="/certificate"), {"reason": "For the court."}).text
    assert "+1 202-555-0143" in page and "import hashlib" in page
    assert town.person(ALICE).ledger_head in page
    assert "I agree to get recurring automated marketing texts" in page
    assert [entry.details["form"] for entry in log("certificate_taken")] == ["file", "page"]
    assert list(audit.faults()) == []


def test_a_certificate_waits_for_whoever_erases(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULE-63: erased while the form was on its way, the person has no number to name any more."""
    town.alice()
    dana, page, begin = dana_owner(town), path(town), guards.begin_staff_write

    def begin_behind_an_erasure() -> None:
        monkeypatch.undo()
        erase(town)
        begin()

    monkeypatch.setattr(guards, "begin_staff_write", begin_behind_an_erasure)
    file = press(dana, f"{page}/certificate.json", {"reason": "For the court."})
    assert examine(file.data)[0] == []
    assert ALICE.encode() not in file.data


# --- who may what


@pytest.mark.parametrize("role", Role)
def test_each_role_sees_what_it_may_do_and_is_held_to_it(town: Town, role: Role) -> None:
    """SEC-43: the page has no button that the server would refuse, and the server refuses."""
    town.alice()
    member = sign_in(town, role, f"one {role}")
    page = member.get(path(town)).text
    rank = list(Role).index(role)
    needed = {
        **dict.fromkeys(("revoke", "link", "deliverability", "owner"), 1),
        **dict.fromkeys(("number", "erase", "certificate"), 2),
    }
    before = rows()["consent_event"]
    for act, least in needed.items():
        assert (f"{path(town)}/{act}" in page) is (rank >= least), act
        if rank < least:
            assert member.get(path(town, more=f"/{act}")).status_code == 403, act
            answer = press(member, path(town, more=f"/{act}"), {"reason": "x"})
            assert answer.status_code == 403, act
    if rank < 1:
        assert press(member, "/admin/people/unknown", {"number": BOB}).status_code == 403
        assert press(member, "/admin/people/unknown/revoke", {"number": BOB}).status_code == 403
    if rank < 2:
        assert (
            press(member, path(town, more="/certificate.json"), {"reason": "x"}).status_code == 403
        )
    assert rows()["consent_event"] == before


@on_sqlite
def test_there_is_no_button_that_turns_texts_on(town: Town) -> None:
    """SEC-44: an admin can lower consent, never raise it."""
    town.carol()
    page = words(dana_owner(town).get(path(town, CAROL)).text).lower()
    for word in ("subscribe this", "turn texts on", "start texts", "resubscribe"):
        assert word not in page
    routes = {rule.endpoint for rule in town.browser.application.url_map.iter_rules()}
    assert not {one for one in routes if "people" in one and ("subscribe" in one or "start" in one)}


@on_sqlite
def test_without_our_token_nothing_is_done(town: Town) -> None:
    """SEC-43."""
    town.alice()
    dana = dana_owner(town)
    before = rows()["consent_event"]
    for act in ("revoke", "link", "deliverability", "owner", "erase", "number", "certificate"):
        answer = dana.post(path(town, more=f"/{act}"), data={"reason": "x"})
        assert answer.status_code in (400, 403), act
    assert rows()["consent_event"] == before


def test_looking_writes_nothing(town: Town, now: Clock, app: Flask) -> None:
    """SEC-1, INV-8."""
    busy_alice(town, now)
    dana: Browser = dana_owner(town)
    dana.get("/admin/people")
    before = rows()
    for more in ("", "/revoke", "/link", "/deliverability", "/owner", "/erase", "/number"):
        assert dana.get(path(town, more=more)).status_code in (200, 303)
    assert dana.get(path(town, more="/certificate")).status_code == 200
    assert rows() == before


def test_a_suppressed_stranger_with_an_odd_number_has_a_page(town: Town, now: Clock) -> None:
    """Texts come from whatever a network lets through."""
    say(town, "STOP", "+99912345678")
    person = db.session.scalars(sa.select(Person)).one()
    assert vic_viewer(town).get(f"/admin/people/{person.public_id}").status_code == 200
    found = press(vic_viewer(town), "/admin/people", {"number": "+999 1234 5678"})
    assert found.status_code == 303
