"""/dev/outbox: read our texts as a phone shows them, and reply to them as the customer."""

import re
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from prefcenter.consent.keywords import Refusal, Word
from prefcenter.consent.replies import Replier
from prefcenter.models import EventKind, OutboxStatus, Status, TextKind
from prefcenter.web import dev
from tests.cast import ALICE, BOB, Town, rows
from tests.conftest import Clock
from tests.phones import heard

STRANGER = "+12025550177"
_TAGS = re.compile(r"<[^>]+>")


def text_as(
    town: Town, number: str, text: str, headers: dict[str, str] | None = None, **more: str
) -> TestResponse:
    """Fill in a form of the page and send it."""
    return town.browser.post(
        "/dev/outbox/reply", data={"number": number, "text": text, **more}, headers=headers
    )


def thread(town: Town, number: str, page: str = "") -> str:
    """What the page shows of one phone, as its reader sees it."""
    html = page or town.browser.get("/dev/outbox").text
    start = f'<section class="card thread" aria-labelledby="phone-{number[1:]}">'
    found = re.search(f"{start}.*?</section>", html, re.DOTALL)
    assert found, f"no thread of {number}"
    return " ".join(_TAGS.sub("", found[0]).replace("&nbsp;", " ").split())


def test_alice_signs_up_opens_the_link_and_stops_by_text(town: Town) -> None:
    town.sign_up(ALICE)
    town.work()
    page = town.browser.get("/dev/outbox").text
    link = re.search(r'href="http://prefs\.test(/c/[a-z2-7]{31})"', page)
    assert link
    town.browser.post(link[1])
    town.work()
    assert town.person(ALICE).status is Status.SUBSCRIBED

    answer = text_as(town, ALICE, "STOP")
    assert (answer.status_code, answer.location) == (303, "/dev/outbox#to-12025550143")
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert town.events(ALICE)[-1] is EventKind.REVOKED
    said = thread(town, ALICE)
    assert "taken as STOP · stopped · answered by us" in said
    assert "unsubscribed · waiting" in said
    assert [parcel.kind for parcel in town.work()] == [TextKind.UNSUBSCRIBED]
    assert "unsubscribed · sent" in thread(town, ALICE)
    assert "your STOP is done" in thread(town, ALICE).partition("taken as STOP")[2]


def test_yes_by_text_confirms(town: Town, now: Clock) -> None:
    town.bob()
    now.forward(seconds=30)
    text_as(town, BOB, "Yes!")
    assert town.person(BOB).status is Status.SUBSCRIBED
    assert "taken as YES · texts are on · answered by us" in thread(town, BOB)


def test_a_phone_that_never_signed_up_gets_help(town: Town) -> None:
    answer = text_as(town, "(202) 555-0177", "help", other="yes")
    assert answer.location == "/dev/outbox#to-12025550177"
    [parcel] = town.work()
    assert (parcel.to, parcel.kind) == (STRANGER, TextKind.HELP)
    assert "taken as HELP · asked for help · answered by us" in thread(town, STRANGER)


def test_a_phone_from_where_we_send_nothing_is_heard_and_gets_no_answer(town: Town) -> None:
    assert text_as(town, "+49 151 23456789", "STOP", other="yes").status_code == 303
    assert town.work() == []
    assert "stopped · no answer, because we cannot text" in thread(town, "+4915123456789")


def test_the_text_is_stored_as_the_network_would_bring_it(town: Town, now: Clock) -> None:
    """One row, worked at once, said in whole seconds."""
    now.forward(microseconds=654321)
    text_as(town, ALICE, "  Do you open on Sunday?\x00 " + "x" * 2000)
    [row] = heard()
    assert row.text.startswith("  Do you open on Sunday? x") and len(row.text) == 1600
    assert row.said_at == now.moment.replace(microsecond=0)
    assert (row.ours, row.reading, row.outcome, row.handled_at) == (
        "+12025550100",
        "other",
        "kept",
        now.moment,
    )
    assert re.fullmatch(r"[A-Za-z0-9-]{1,64}", row.message_id)


def test_each_text_is_a_message_of_its_own(town: Town) -> None:
    for _ in range(2):
        text_as(town, ALICE, "STOP")
    assert [row.outcome for row in heard()] == ["stopped", "again"]
    assert len({row.message_id for row in heard()}) == 2


def test_a_quick_button_counts_whatever_stands_in_the_box(town: Town) -> None:
    town.browser.post("/dev/outbox/reply", data={"number": ALICE, "text": ["see you", "STOP"]})
    assert [row.text for row in heard()] == ["STOP"]


@pytest.mark.parametrize("number", ["", "call me", "202 555", "+1 202 555", "+1 202 CALL ME"])
def test_a_number_that_cannot_be_read_is_explained_and_the_form_kept(
    town: Town, number: str
) -> None:
    before = rows()
    answer = text_as(town, number, "see <you>", other="yes")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "We cannot read that number. Write it like (201) 555-0123" in answer.text
    assert f'value="{number}"' in answer.text and 'value="see &lt;you&gt;"' in answer.text
    assert "<title>Error: " in answer.text
    assert rows() == before


def test_an_empty_text_is_explained_below_its_thread(town: Town) -> None:
    town.alice()
    answer = text_as(town, ALICE, " ")
    assert answer.status_code == 422
    assert "Write a text first" in thread(town, ALICE, answer.text)
    assert heard() == []


def test_every_fault_leads_to_its_field(town: Town) -> None:
    town.alice()
    forms = ({}, {"other": "yes"}, {"number": ALICE}, {"number": ALICE, "other": "yes"})
    for form in forms:
        page = town.browser.post("/dev/outbox/reply", data=form).text
        faults = re.findall(r'<p><a href="#([\w-]+)">', page)
        assert faults, form
        for name in faults:
            assert re.search(rf'id="{name}"[^>]* aria-invalid="true"', page), (form, name)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_cannot_text_in_our_name(town: Town, site: str) -> None:
    before = rows()
    answer = text_as(town, ALICE, "START", headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 403
    assert "<h1>That form does not work on this website</h1>" in answer.text
    assert rows() == before


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_may(town: Town, site: str) -> None:
    assert text_as(town, ALICE, "STOP", headers={"Sec-Fetch-Site": site}).status_code == 303


def test_htmx_gets_the_page_itself_with_the_box_ready_for_the_next_text(town: Town) -> None:
    town.alice()
    town.bob()
    answer = text_as(town, ALICE, "HELP", headers={"HX-Request": "true"})
    assert answer.status_code == 200
    boxes = dict(re.findall(r'<input type="text" id="text-(\w+)"([^>]*)>', answer.text))
    assert {key: "autofocus" in box for key, box in boxes.items()} == {
        ALICE[1:]: True,
        BOB[1:]: False,
        "other": False,
    }
    assert {key: "hx-preserve" in box for key, box in boxes.items()} == {
        ALICE[1:]: False,
        BOB[1:]: True,
        "other": True,
    }


def test_the_thread_with_the_newest_text_comes_first_and_the_newest_text_last(
    town: Town, now: Clock
) -> None:
    for number, text in ((ALICE, "one"), (BOB, "two"), (STRANGER, "three"), (ALICE, "four")):
        now.forward(minutes=1)
        text_as(town, number, text)
    page = town.browser.get("/dev/outbox").text
    assert re.findall(r'<h2 id="phone-(\d+)">', page) == [ALICE[1:], STRANGER[1:], BOB[1:]]
    assert thread(town, ALICE, page).index(" one ") < thread(town, ALICE, page).index(" four ")


def test_each_day_is_named_once(town: Town, now: Clock) -> None:
    text_as(town, ALICE, "good night")
    text_as(town, ALICE, "sleep well")
    now.forward(days=1)
    text_as(town, ALICE, "good morning")
    assert re.findall(r"November \d+, 2026, UTC", thread(town, ALICE)) == [
        "November 24, 2026, UTC",
        "November 25, 2026, UTC",
    ]


def test_what_people_text_is_shown_as_text(town: Town) -> None:
    text_as(town, ALICE, '<b>STOP</b> http://prefs.test/p/aaa "x" مرحبا')
    page = town.browser.get("/dev/outbox").text
    assert '<p dir="auto">&lt;b&gt;STOP&lt;/b&gt; http://prefs.test/p/aaa ' in page


def test_a_text_that_waits_for_its_turn_says_so(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev.inbound, "handle", lambda row_id, now: False)
    text_as(town, ALICE, "STOP")
    assert "waits for its turn" in thread(town, ALICE)


@pytest.mark.settings(SENDER="+12025550100,+12025550101,+12025550102")
def test_with_several_numbers_of_ours_a_reply_goes_to_the_one_that_texted_last(
    town: Town,
) -> None:
    text_as(town, STRANGER, "HELP", ours="+12025550101")
    town.work()
    page = town.browser.get("/dev/outbox").text
    chosen = dict(re.findall(r'<select id="ours-(\w+)".*?<option selected>([+\d]+)', page, re.S))
    assert chosen == {STRANGER[1:]: "+12025550101", "other": "+12025550100"}
    assert "answered by us · to +12025550101" in thread(town, STRANGER)
    assert "characters · from +12025550101" in thread(town, STRANGER)


def test_a_number_that_is_not_ours_cannot_be_texted(town: Town) -> None:
    assert text_as(town, ALICE, "STOP", ours="+12025550199").status_code == 400
    assert heard() == []


def test_the_reader_keeps_their_language(town: Town) -> None:
    page = town.browser.get("/dev/outbox?lang=es").text
    assert 'action="/dev/outbox/reply?lang=es"' in page
    answer = town.browser.post("/dev/outbox/reply?lang=es", data={"number": ALICE, "text": "ALTO"})
    assert answer.location == "/dev/outbox?lang=es#to-12025550143"
    said = thread(town, ALICE, town.browser.get("/dev/outbox?lang=es").text)
    assert "entendido como STOP · baja · respondemos nosotros" in said


def test_the_empty_page_says_how_to_begin_and_what_to_do_then(town: Town) -> None:
    page = _TAGS.sub("", town.browser.get("/dev/outbox").text)
    assert "No texts yet" in page
    assert "Then reply to it as that phone would: STOP, HELP or whatever" in page


REAL = {"SMS_BACKEND": "vonage", "VONAGE_PRIVATE_KEY": "a key that signs nothing here"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "env",
    [
        pytest.param("development", marks=pytest.mark.settings(**REAL)),
        pytest.param(
            "production",
            marks=pytest.mark.settings(ENV="production", PUBLIC_URL="https://prefs.test", **REAL),
        ),
    ],
)
def test_where_texts_really_leave_there_is_no_such_page(town: Town, app: Flask, env: str) -> None:
    assert app.extensions["prefcenter"].env == env
    host = {"Host": "prefs.test"}
    assert town.browser.get("/", headers=host).status_code == 200
    assert town.browser.get("/dev/outbox", headers=host).status_code == 404
    assert text_as(town, ALICE, "STOP", headers=host).status_code == 404
    assert heard() == []


def test_there_are_plain_words_for_all_that_the_rows_say() -> None:
    consent = Path(dev.__file__).parents[1] / "consent"
    source = "".join(path.read_text(encoding="utf-8") for path in consent.glob("*.py"))
    outcomes = set(re.findall(r'Result\("(\w+)"', source)) - {"resumed"}
    outcomes |= set(re.findall(r'"(\w+)" if \w+ else "(\w+)", reply\)', source)[0])
    assert outcomes <= set(dev.OUTCOMES)
    assert set(dev.STATUSES) == set(OutboxStatus)
    assert set(dev.REPLIES) == set(Replier)
    assert set(dev.READINGS) == {*Refusal, "flagged", "other"} - {Refusal.NOT}
    assert not set(dev.READINGS) & set(Word)
