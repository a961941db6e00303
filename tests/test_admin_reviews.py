"""The review queue: what waits, its clock, the decision, and what was done stays on record."""

import re
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from prefcenter.consent import business_days, suppression
from prefcenter.database import db, writing
from prefcenter.models import Alarm, EventKind, Evidence, Review, Status, Unreadable
from prefcenter.models_staff import Role
from prefcenter.sms import alarms, inbox
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.phones import last_event, reviews, say
from tests.staff_room import eve_editor, log, press, sign_in, vic_viewer
from tests.test_admin_people import HTMX, words
from tests.test_by_hand import FLAGGED, LIKELY, sound
from tests.test_erasure import erase

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOTE = {"note": "I rang her up."}


def path(decision: str, review: Review | None = None) -> str:
    return f"/admin/review/{(review or reviews()[0]).public_id}/{decision}"


def test_what_waits_is_shown_with_its_text_its_clock_and_what_would_follow(
    town: Town, now: Clock
) -> None:
    """RULE-21: the age of every open one, the most urgent first."""
    town.alice()
    say(town, "I didn't sign up for this <b>really</b> 202-555-0199")
    now.forward(days=2)
    say(town, FLAGGED, BOB)
    page = vic_viewer(town).get("/admin/review")
    text = words(page.text)
    assert text.index("Likely a refusal") < text.index("A stop word stands in it")
    assert "9 business days left until 9 Dec 2026" in text, "Thanksgiving does not count"
    assert "10 business days left until 10 Dec 2026" in text
    assert "It came 2 days ago." in text and "It came 0 minutes ago." in text
    assert "“It was not” turns their texts on again, as they were." in text
    assert "&lt;b&gt;really&lt;/b&gt;" in page.text and "<b>really" not in page.text
    assert "202-555-0199" not in page.text and "…0199" in page.text
    assert "<button" not in page.text.partition('id="reviews"')[2].partition("</main>")[0]


def test_a_viewer_sees_no_whole_number_in_what_could_not_be_read(town: Town) -> None:
    """SEC-44."""
    raw = b'{"msisdn":"12025550143","from":"+1 202-555-0143"}'
    with writing():
        inbox.keep_unreadable("inbound", raw, "no number", now=town.now())
        db.session.commit()
    page = words(vic_viewer(town).get("/admin/review").text)
    assert page.count("…0143") == 2 and "555" not in page


def test_an_odd_page_mark_is_no_fault_of_ours(town: Town) -> None:
    """INV-11: ² is a digit to Python and none to int()."""
    assert vic_viewer(town).get("/admin/review?closed=%C2%B2").status_code == 200


@pytest.mark.parametrize(
    ("days", "says"),
    [(0, "10 business days left"), (14, "1 business day left"), (15, "Due today"),
     (16, "Overdue by 1 business day"), (20, "Overdue by 3 business days")],
)  # fmt: skip
def test_the_clock_counts_business_days_of_washington(
    town: Town, now: Clock, days: int, says: str
) -> None:
    """From Tuesday 24 November 2026 to Wednesday 9 December."""
    town.alice()
    say(town, LIKELY)
    now.forward(days=days)
    assert says in words(vic_viewer(town).get("/admin/review").text)


def test_days_left_in_both_directions() -> None:
    due = date(2026, 12, 9)
    assert business_days.left(date(2026, 11, 24), due) == 10
    assert business_days.left(due, due) == 0
    assert business_days.left(due + timedelta(days=1), due) == -1
    assert business_days.left(date(2026, 12, 14), due) == -3
    assert business_days.left(date(2026, 12, 6), due) == 3


def test_it_was_not_one_puts_back_what_it_took(town: Town, now: Clock) -> None:
    town.alice()
    say(town, LIKELY)
    eve = eve_editor(town)
    answer = press(eve, path("no-refusal"), NOTE)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/review")
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert not suppression.contains(ALICE)
    [review] = reviews()
    assert (review.closed_by, review.note, review.closed_at) == ("eve", NOTE["note"], now.now())
    [entry] = log("review_restored")
    assert (entry.subject, entry.details) == (review.public_id, {"decision": "no refusal"})
    text = words(eve.get("/admin/review").text)
    assert "It is put back as it was." in text
    assert "Nothing waits to be read" in text
    assert "It was none: put back I rang her up." in text
    person_page = words(eve.get(f"/admin/people/{town.person(ALICE).public_id}").text)
    assert "A person read the text: it was no refusal" in person_page
    sound()


@pytest.mark.parametrize("typed", ["(202) 555-0143", "12025550143", "id2025550143"])
def test_a_number_in_the_reason_is_not_kept(town: Town, typed: str) -> None:
    """The reason is in the proof for good, and would outlive the number's erasure (SEC-44)."""
    town.alice()
    say(town, LIKELY)
    press(eve_editor(town), path("no-refusal"), {"note": f"She rang from {typed} to say so."})
    masked = "…0143 to say so."
    kept = [review.note for review in reviews()]
    kept += list(db.session.scalars(sa.select(Evidence.body).order_by(Evidence.event_id)))[-1:]
    assert len(kept) == 2
    assert [text for text in kept if masked not in text] == []


def test_it_was_one_and_stays_stopped(town: Town) -> None:
    town.alice()
    say(town, LIKELY)
    eve = eve_editor(town)
    press(eve, path("refusal"), NOTE)
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    text = words(eve.get("/admin/review").text)
    assert "Kept: it was a refusal." in text and "It was a refusal: texts stayed off" in text
    assert [entry.details for entry in log("review_closed")] == [{"decision": "refusal"}]
    sound()


def test_what_was_only_flagged_stops_now(town: Town, now: Clock) -> None:
    town.alice()
    town.work()
    say(town, FLAGGED)
    now.forward(days=1)
    eve = eve_editor(town)
    press(eve, path("refusal"), NOTE)
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert last_event().kind is EventKind.REVOKED
    assert "It was a refusal: texts stopped" in words(eve.get("/admin/review").text)
    assert town.work() == []
    sound()


def test_nothing_is_put_back_past_a_stop(town: Town, now: Clock) -> None:
    """INV-1: the page says so before and after."""
    town.alice()
    say(town, LIKELY)
    now.forward(minutes=5)
    say(town, "STOP")
    eve = eve_editor(town)
    assert "Something else stopped them since" in words(eve.get("/admin/review").text)
    press(eve, path("no-refusal"), NOTE)
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert suppression.contains(ALICE)
    assert "It was none; nothing to put back" in words(eve.get("/admin/review").text)
    sound()


def test_of_two_doubtful_texts_the_later_comes_first(town: Town, now: Clock) -> None:
    town.alice()
    for _ in range(2):
        now.forward(minutes=30)
        say(town, LIKELY)
    first, second = reviews()
    eve = eve_editor(town)
    page = eve.get("/admin/review").text
    assert page.count('formaction="/admin/review/' + first.public_id) == 1, "no “it was not”"
    answer = press(eve, path("no-refusal", first), NOTE)
    assert answer.status_code == 409 and "decide on that one first" in answer.text
    assert NOTE["note"] in answer.text
    assert reviews()[0].closed_at is None
    press(eve, path("no-refusal", second), NOTE)
    press(eve, path("no-refusal", first), NOTE)
    assert town.person(ALICE).status is Status.SUBSCRIBED
    sound()


def test_a_doubtful_start_is_only_read(town: Town, now: Clock) -> None:
    """Nothing that staff press turns texts on."""
    town.carol()
    now.forward(days=3)
    say(town, "START", CAROL, at=now.now() - timedelta(days=2))
    eve = eve_editor(town)
    page = eve.get("/admin/review").text
    assert "Close it" in page and "/no-refusal" not in page
    press(eve, path("read"), NOTE)
    press(eve, path("no-refusal"), NOTE)
    assert town.person(CAROL).status is Status.UNSUBSCRIBED
    assert reviews()[0].closed_at is not None
    sound()


@pytest.mark.settings(TEXTS_AT_ONCE="100")
def test_all_that_wait_are_paged_with_the_age_of_each(town: Town, now: Clock) -> None:
    """RULE-21: also of the 31st and all after it, with scripts and without."""
    for number in range(65):
        now.forward(hours=1)
        say(town, FLAGGED, f"+1202555{3000 + number}")
    now.forward(days=2)
    eve = eve_editor(town)
    ids, address, pages = [], "/admin/review", []
    while address:
        pages.append(eve.get(address).text)
        ids += re.findall(r'id="review-([^"]+)"', pages[-1])
        further = re.search(r'rel="next" href="([^"]+)" hx-get="([^"]+)"', pages[-1])
        assert further is None or further[1] == further[2]
        address = further[1] if further else ""
        if address:
            alone = eve.get(address, headers=HTMX).text
            assert "<html" not in alone and 'id="reviews"' not in alone
            assert alone.count('class="review') == min(30, 65 - len(ids))
    assert [page.count('class="review') for page in pages] == [30, 30, 5]
    assert ids == [review.public_id for review in reviews()]
    assert words(pages[0]).count("It came 4 days ago.") == 17
    assert words(pages[2]).count("It came 2 days ago.") == 5
    assert "Back to the most urgent" in pages[1] and "Back to the" not in pages[0]


@on_sqlite
@pytest.mark.settings(TEXTS_AT_ONCE="100")
def test_a_decision_leads_back_to_the_place_where_it_was_made(town: Town, now: Clock) -> None:
    for number in range(31):
        now.forward(minutes=1)
        say(town, FLAGGED, f"+1202555{3000 + number}")
    eve = eve_editor(town)
    there = re.search(r'rel="next" href="([^"]+)"', eve.get("/admin/review").text)
    assert there
    place = there[1].partition("?")[2]
    last = f"{path('refusal', reviews()[-1])}?{place}"
    refused = press(eve, last, {"note": ""})
    assert refused.status_code == 422 and f'formaction="{last}"' in refused.text
    answer = press(eve, last, NOTE)
    assert answer.headers["Location"] == there[1]
    text = words(eve.get(there[1]).text)
    assert "All texts are off" in text and "Nothing more waits behind these." in text
    assert "Nothing waits to be read" not in text
    for odd in ("x", "_", "2026-13-01_1", "0000-01-01_1", "²026-01-01_1", "2026-12-01_" + "9" * 30):
        page = eve.get("/admin/review", query_string={"waiting": odd})
        assert page.status_code == 200 and page.text.count('class="review') == 30


def test_a_likely_refusal_is_not_closed_without_a_decision(town: Town) -> None:
    """RULE-19: its page offers no “close it”; whoever asks for it anyway reads why not."""
    town.alice()
    say(town, LIKELY)
    eve = eve_editor(town)
    for headers in ({}, HTMX):
        answer = press(eve, path("read"), NOTE, headers=headers)
        assert answer.status_code == 409
        assert "say whether it was a refusal or not." in answer.text
        assert NOTE["note"] in answer.text
    assert reviews()[0].closed_at is None
    assert log("review_closed") == []
    press(eve, path("refusal"), NOTE)
    assert reviews()[0].closed_at is not None


@on_sqlite
def test_a_decision_needs_a_reason_and_keeps_what_was_typed(town: Town) -> None:
    town.alice()
    say(town, LIKELY)
    eve = eve_editor(town)
    before = rows()["review"]
    for note in ("", "  ", "x" * 301):
        for decision in ("refusal", "no-refusal", "read"):
            answer = press(eve, path(decision), {"note": note})
            assert answer.status_code == 422 and "1 to 300 characters" in answer.text
    assert "x" * 301 in answer.text
    assert rows()["review"] == before


def test_the_first_who_decides_stays_named(town: Town) -> None:
    """RULE-16: a second press changes nothing and is told so."""
    town.alice()
    say(town, LIKELY)
    [review] = reviews()
    eve = eve_editor(town)
    press(eve, path("refusal", review), NOTE)
    dan = sign_in(town, Role.EDITOR, "dan")
    answer = press(dan, path("no-refusal", review), {"note": "Me too."})
    assert answer.status_code == 303
    assert "Somebody has closed it before" in dan.get("/admin/review").text
    assert reviews()[0].closed_by == "eve"
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    for unknown in ("x", "A" * 22, "a%00b"):
        answer = press(dan, f"/admin/review/{unknown}/refusal", NOTE)
        assert answer.status_code == 303


def test_with_htmx_the_list_comes_back_alone(town: Town) -> None:
    town.alice()
    say(town, LIKELY)
    eve = eve_editor(town)
    answer = press(eve, path("refusal"), NOTE, headers=HTMX)
    assert answer.status_code == 200 and "<html" not in answer.text
    assert 'role="status"' in answer.text and "Kept: it was a refusal." in answer.text


@on_sqlite
def test_a_viewer_reads_and_decides_nothing(town: Town) -> None:
    """SEC-43."""
    town.alice()
    say(town, LIKELY)
    vic = vic_viewer(town)
    assert vic.get("/admin/review").status_code == 200
    before = rows()["review"]
    for decision in ("refusal", "no-refusal", "read"):
        assert press(vic, path(decision), NOTE).status_code == 403
    assert press(vic, "/admin/review/unreadable/1/seen").status_code == 403
    assert eve_editor(town).post(path("refusal"), data=NOTE).status_code in (400, 403)
    assert rows()["review"] == before


@on_sqlite
@pytest.mark.settings(TEXTS_AT_ONCE="100")
def test_closed_ones_are_paged(town: Town, now: Clock) -> None:
    for number in range(35):
        now.forward(minutes=1)
        say(town, FLAGGED, f"+1202555{3000 + number}")
    with writing():
        db.session.execute(
            sa.update(Review).values(closed_at=now.now(), closed_by="the command", note="Read.")
        )
        db.session.commit()
    vic = vic_viewer(town)
    first = vic.get("/admin/review").text
    assert first.count("the command") == 30
    link = re.search(r'rel="next" href="([^"]+)"', first)
    assert link and vic.get(link[1]).text.count("the command") == 5
    for odd in ("x", "-1", "9" * 30, "1e9"):
        assert vic.get("/admin/review", query_string={"closed": odd}).status_code == 200


def test_unreadable_webhooks_are_shown_as_text_and_marked_as_seen(town: Town, now: Clock) -> None:
    """SEC-34, SEC-38."""
    bodies = (b"<script>alert(1)</script>", b"\xff\x00\x1b[2K \xe2\x80\xae", b'{"image":1}')
    with writing():
        for body, reason in zip(bodies, ("not JSON", "not JSON", "not a text"), strict=True):
            inbox.keep_unreadable("inbound", body, reason, now=now.now())
        alarms.start(alarms.UNREADABLE, now=now.now())
        db.session.commit()
    eve = eve_editor(town)
    page = eve.get("/admin/review").text
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert "\\x1b[2K" in page and "\\u202e" in page and "\x1b" not in page and "\x00" not in page
    ids = re.findall(r"/admin/review/unreadable/(\d+)/seen", page)
    for row_id in dict.fromkeys(ids):
        answer = press(eve, f"/admin/review/unreadable/{row_id}/seen")
        assert answer.status_code == 303
    assert press(eve, f"/admin/review/unreadable/{ids[0]}/seen").status_code == 303
    assert press(eve, f"/admin/review/unreadable/{2**70}/seen").status_code == 303
    db.session.rollback()
    assert None not in set(db.session.scalars(sa.select(Unreadable.seen_at)))
    assert list(db.session.scalars(sa.select(Alarm.name))) == []
    assert len(log("alarm_acknowledged")) == 3


def test_after_erasure_a_review_shows_no_word_of_theirs(town: Town, now: Clock) -> None:
    """RULE-63."""
    town.alice()
    say(town, "I didn't sign up for this at Elm Road")
    eve = eve_editor(town)
    assert "Elm Road" in eve.get("/admin/review").text
    erase(town)
    text = eve.get("/admin/review").text
    assert "Elm Road" not in text and "Nothing waits to be read" in text and "erased" in text
