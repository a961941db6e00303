"""The overview as staff see it: figures, filters, lists, empty states, export, health strip."""

import csv
import io
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from prefcenter import counting
from prefcenter.consent import people, preferences, reviews
from prefcenter.consent.ledger import Proof
from prefcenter.database import db, writing
from prefcenter.models import (
    Inbound,
    OutboxMessage,
    OutboxStatus,
    ReviewReason,
    Source,
    SuppressionReason,
)
from prefcenter.models_staff import Role
from prefcenter.sms import alarms, delivery
from tests.cast import ALICE, BOB, CAROL, Town
from tests.conftest import Browser, Clock
from tests.staff_room import sign_in, stranger

HTMX = {"HX-Request": "true"}
_FIGURE = re.compile(r'<div class="figure"><dt>(.*?)</dt>\s*<dd><b>(.*?)</b>(.*?)</dd>', re.S)
_ROW = re.compile(r"<span>(?:<a [^>]*>)?([^<]+)(?:</a>)?</span><b>([^<]+)</b>")


def figures(page: str) -> dict[str, str]:
    return {label: value for label, value, _rest in _FIGURE.findall(page)}


def ranked(page: str, title: str) -> dict[str, str]:
    section = page.split(f"<h2>{title}</h2>")[1].split("</section>")[0]
    return dict(_ROW.findall(section))


@pytest.fixture
def vic(town: Town) -> Browser:
    return sign_in(town, Role.VIEWER, "vic")


def test_the_figures_are_those_of_the_ledger(town: Town, vic: Browser) -> None:
    """Alice is on, Bob waits, Carol stopped: pending is never counted as subscribed."""
    town.alice()
    town.bob()
    town.carol()
    page = vic.get("/admin/").text
    assert figures(page) == {
        "Numbers with texts on": "1",
        "Confirmed opt-ins": "2",
        "Said yes to our text": "–",
        "Opt-outs": "1",
        "Paused now": "0",
    }
    assert ranked(page, "How everybody stands now") == {
        "Texts on": "1",
        "Asked, not yet confirmed": "1",
        "Stopped": "1",
        "Never confirmed": "0",
        "Erased": "0",
    }
    assert ranked(page, "From request to yes") == {
        "Asked for texts": "3",
        "Said yes": "2",
        "Not answered yet": "1",
    }
    assert ranked(page, "How people stop") == {"Pressed “Stop all texts”": "1"}
    assert ranked(page, "Where people sign up") == {"Sign-up page": "2"}
    before = page
    counting.catch_up(9)
    again = vic.get("/admin/").text
    assert figures(again) == figures(before)


def test_no_number_is_shown_whole_and_nobody_else_gets_in(town: Town, vic: Browser) -> None:
    town.alice()
    for path in ("/admin/", "/admin/overview.csv", "/admin/health"):
        assert stranger(town).get(path).status_code == 303
        text = vic.get(path).text
        assert ALICE not in text and ALICE[2:] not in text
    assert "/admin/people/" + town.person(ALICE).public_id in vic.get("/admin/").text


def test_after_three_days_it_is_known_how_many_said_yes(town: Town, now: Clock) -> None:
    town.alice()
    town.bob()
    now.forward(days=5)
    page = sign_in(town, Role.VIEWER, "vic").get("/admin/").text
    assert figures(page)["Said yes to our text"] == "50%"
    assert "of 2 asked up to 25 Nov" in page or "of 2 asked up to Nov 25" in page


def test_the_period_before_is_compared_in_words(town: Town, now: Clock) -> None:
    town.alice()
    now.forward(days=31)
    town.alice(BOB)
    town.carol()
    vic = sign_in(town, Role.VIEWER, "vic")
    page = vic.get("/admin/").text
    assert re.search(r"<b>2</b> <span class=\"change good\">\+100%</span>", page)
    assert "1 before" in page
    alone = vic.get("/admin/?compare=no").text
    assert "before" not in alone.split('<dl class="figures"')[1].split("</dl>")[0]


def test_filters_stand_in_the_address_and_narrow_everything(town: Town, vic: Browser) -> None:
    town.alice(ALICE, ("offers",))
    town.alice(BOB, ("events",))
    page = vic.get("/admin/?kind=offers")
    assert figures(page.text)["Numbers with texts on"] == "1"
    assert '<option value="offers" selected>' in page.text
    assert figures(vic.get("/admin/?country=GB").text)["Numbers with texts on"] == "0"
    assert figures(vic.get("/admin/?country=US").text)["Numbers with texts on"] == "2"
    assert figures(vic.get("/admin/?place=nowhere").text)["Confirmed opt-ins"] == "0"


def test_htmx_gets_the_results_alone(town: Town, vic: Browser) -> None:
    town.alice()
    part = vic.get("/admin/?period=12w", headers=HTMX)
    assert "<html" not in part.text and "<form" not in part.text
    assert 'id="overview-days" hx-swap-oob="true"' in part.text
    assert "HX-Request" in part.headers["Vary"]


def test_a_quiet_period_says_so(town: Town, vic: Browser) -> None:
    town.alice()
    page = vic.get("/admin/?period=own&from=2026-01-01&to=2026-01-10").text
    assert "Nothing happened in these days." in page
    assert figures(page)["Numbers with texts on"] == "0"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=2026-11-20&to=2026-11-01", "must not come after"),
        ("from=yesterday&to=", "Choose both days"),
        ("from=2026-11-01&to=2027-01-01", "up to today"),
        ("from=1970-01-01&to=2026-11-01", "from the year 2000"),
        ("from=2001-01-01&to=2026-11-01", "ten years at most"),
    ],
)
def test_days_that_cannot_be_are_explained(
    town: Town, vic: Browser, query: str, words: str
) -> None:
    town.alice()
    page = vic.get(f"/admin/?period=own&{query}")
    assert page.status_code == 422
    assert words in page.text
    if "yesterday" not in query:
        assert 'value="2026-11-01"' in page.text or 'value="1970-01-01"' in page.text


@pytest.mark.parametrize("value", ["%00", "*", "x" * 5000, "'; DROP TABLE person;--", "\u202e"])
def test_odd_filters_find_nobody_and_break_nothing(town: Town, vic: Browser, value: str) -> None:
    """SEC-38: what stands in an address may be anybody's."""
    town.alice()
    for name in ("place", "kind", "country", "language", "period", "compare"):
        page = vic.get("/admin/", query_string={name: f"<script>{value}"})
        assert page.status_code == 200
        assert "<script>" + value[:1] not in page.text


def test_before_anybody_asked_the_page_says_what_to_do(town: Town, vic: Browser) -> None:
    page = vic.get("/admin/").text
    assert "No opt-ins yet" in page
    assert "Text yourself a test" in page


def test_the_days_of_the_table_lead_to_the_history(town: Town, vic: Browser) -> None:
    town.alice()
    assert "/admin/history?from=2026-11-24&amp;to=2026-11-24" in vic.get("/admin/").text


def test_the_export_holds_the_same_figures(town: Town, vic: Browser) -> None:
    town.alice()
    town.carol()
    answer = vic.get("/admin/overview.csv?period=12w")
    assert answer.mimetype == "text/csv"
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    named = {row[0]: row[1:] for row in rows if row}
    assert named["Confirmed opt-ins"][0] == "2"
    assert named["Suppressed"] == ["1"]
    assert ["2026-11-18/2026-11-24", "2", "1", "1"] in rows


def test_a_formula_stays_text(town: Town, vic: Browser) -> None:
    town.alice()
    for formula in ("=1+1", "|cmd", "＝1", "\u3000=1"):
        answer = vic.get("/admin/overview.csv", query_string={"place": formula})
        assert f'"Sign-up place","\'{formula}"' in answer.text, formula


def test_the_strip_says_that_all_is_well(town: Town, vic: Browser) -> None:
    page = vic.get("/admin/health").text
    assert page.count('class="tag ok"') == 8
    assert "None yet. Text HELP to your number." in page


def test_the_strip_says_what_is_wrong(town: Town, vic: Browser, now: Clock) -> None:
    """Queue, failures, pause, breaker, reviews, alarms: each in words, with the next step."""
    link = town.alice()
    town.browser.post(f"{link}/stop")  # its text waits, and nobody sends it
    with writing():
        alarms.genuine(now=now.moment)
        alarms.flush(now=now.moment)
        alarms.start(alarms.MISSED_TEXTS, "from then to now", now=now.moment)
        delivery.pause("no credit", now=now.moment)
        db.session.execute(
            sa.update(OutboxMessage)
            .where(OutboxMessage.to == ALICE, OutboxMessage.status == OutboxStatus.SENT)
            .values(status=OutboxStatus.FAILED, reason="unknown number", finished_at=now.moment)
        )
        _review(now)
        db.session.commit()
    now.forward(minutes=4)
    page = vic.get("/admin/health").text
    assert "1 text waits, the oldest for 4 minutes." in page
    assert "2 texts: unknown number (2)" in page
    assert "We may have missed texts from people" in page
    assert "1 waits, 10 of ten business days left." in page
    assert "The last one came 4 minutes ago." in page
    assert "/admin/review" in page and "/admin/alarms" in page
    assert "Paused: the provider refuses everything." in page
    now.forward(minutes=4)
    assert "Is a sender running?" in vic.get("/admin/health").text


def _review(now: Clock) -> None:
    text = Inbound(
        message_id="m",
        number=CAROL,
        ours="+12025550100",
        text="leave me",
        received_at=now.moment,
        handled_at=now.moment,
    )
    db.session.add(text)
    db.session.flush()
    reviews.open_for(text.id, None, ReviewReason.MENTIONS_STOP, now=now.moment)


def test_a_pause_ends_on_the_minute(town: Town, vic: Browser, now: Clock) -> None:
    link = town.alice()
    town.browser.post(f"{link}/pause", data={"pause": "1w", "length": "1w"})
    with writing():
        person = people.by_number(ALICE)
        assert person
        from prefcenter.consent import pausing

        pausing.pause(person, "1w", proof=Proof(source=Source.SMS), now=now.moment)
        db.session.commit()
    for _ in ("in the tail", "added up"):
        assert figures(vic.get("/admin/").text)["Paused now"] == "1"
        assert figures(vic.get("/admin/?country=US").text)["Paused now"] == "1"
        counting.catch_up(9)
    until = town.person(ALICE).paused_until
    assert until
    now.moment = until - timedelta(seconds=1)
    vic = sign_in(town, Role.VIEWER, "vic")
    for query in ("", "?country=US", "?kind=offers"):
        assert figures(vic.get(f"/admin/{query}").text)["Paused now"] == "1"
    now.moment = until
    for query in ("", "?country=US", "?kind=offers"):
        assert figures(vic.get(f"/admin/{query}").text)["Paused now"] == "0"


def test_who_is_turned_off_by_staff_is_told_apart(town: Town, vic: Browser, now: Clock) -> None:
    town.alice()
    with writing():
        person = people.by_number(ALICE)
        assert person
        reason = SuppressionReason.ADMIN
        preferences.revoke(person, Proof(source=Source.ADMIN), reason=reason, now=now.moment)
        db.session.commit()
    assert ranked(vic.get("/admin/").text, "How people stop") == {"Told the shop": "1"}
