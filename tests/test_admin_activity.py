"""/admin/activity: what the people who work here did, for all of them to read, for nobody to edit."""

import ast
import html
import re
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from prefcenter import clock, phone
from prefcenter.database import db, writing
from prefcenter.models_exports import ExportKind
from prefcenter.models_staff import Role
from prefcenter.sms import alarms
from prefcenter.staff import activity
from prefcenter.web.admin import log_words
from tests import terminal
from tests.cast import ALICE, Town
from tests.conftest import Browser, Clock
from tests.settings_room import HOSTILE, calm, errors, kept, said
from tests.staff_room import dana_owner, eve_editor, log, press, sign_in, vic_viewer

LOG = "/admin/activity"
PACKAGE = Path(__file__).parents[1] / "prefcenter"
HTMX = {"HX-Request": "true"}
ROW = re.compile(r'<tr class="jk">(.*?)</tr>', re.DOTALL)


def note(action: str, who: str = "cron", *, at: int = 0, **more: object) -> None:
    """Something that was done so many minutes from now on."""
    with writing():
        activity.record(who, action, now=clock.now() + timedelta(minutes=at), **more)
        db.session.commit()


def lines(browser: Browser, query: str = "", **headers: str) -> list[str]:
    """The words of each row, tags taken away."""
    answer = browser.get(LOG + query, headers=headers)
    assert answer.status_code == 200
    calm(answer)
    return [
        " ".join(html.unescape(re.sub(r"<[^>]+>", " ", row)).split())
        for row in ROW.findall(answer.text)
    ]


@pytest.fixture
def vic(town: Town) -> Browser:
    return vic_viewer(town)


@pytest.mark.parametrize("role", list(Role))
def test_everybody_who_works_here_may_read_it(town: Town, role: Role) -> None:
    note("key_added", subject="web-shop", details={"scopes": ["read", "write"]})
    [line] = lines(sign_in(town, role, "grace"))
    assert "cron on the command line Made an API key web-shop What it may do: read, write" in line


def test_the_newest_is_first_and_says_who_and_what(town: Town, vic: Browser) -> None:
    eve = eve_editor(town)
    press(eve, "/admin/categories/events/move", {"way": "up"})
    press(eve, "/admin/categories/events/retire")
    first, second = lines(vic)
    assert "eve Editor Retired a category events People: 0" in first
    assert "eve Editor Moved a category events Place: 3 → now 2" in second


def test_nobody_can_edit_or_delete_an_entry(town: Town) -> None:
    """SEC-44; the database itself refuses."""
    note("key_added", subject="web-shop")
    for statement in ("UPDATE staff_action SET reason = 'x'", "DELETE FROM staff_action"):
        with pytest.raises(DBAPIError), writing():
            db.session.execute(sa.text(statement))
    dana = dana_owner(town)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert dana.open(LOG, method=method).status_code in (401, 403, 405)


# --- filters


@pytest.fixture
def week(town: Town) -> None:
    """Things of several days: UTC and the reader's zone agree here."""
    for days, who, action in (
        (-3, "cron", "key_added"),
        (-2, "eve", "site_added"),
        (-1, "eve", "key_added"),
        (0, "dana", "site_added"),
    ):
        note(action, who, at=days * 24 * 60, subject=f"of-{who}")


@pytest.mark.parametrize(
    ("query", "whose"),
    [
        ("", ["dana", "eve", "eve", "cron"]),
        ("?who=eve", ["eve", "eve"]),
        ("?what=key_added", ["eve", "cron"]),
        ("?who=eve&what=key_added", ["eve"]),
        ("?from=2026-11-23", ["dana", "eve"]),
        ("?to=2026-11-22", ["eve", "cron"]),
        ("?from=2026-11-22&to=2026-11-23", ["eve", "eve"]),
        ("?who=nobody", []),
        ("?what=nothing", []),
    ],
)
def test_filters_stand_in_the_address(
    week: None, vic: Browser, query: str, whose: list[str]
) -> None:
    for headers in ({}, HTMX):
        found = lines(vic, query, **headers)
        assert [re.search(r"of-(\w+)", line)[1] for line in found] == whose


def test_a_day_is_the_readers_day(town: Town, vic: Browser, now: Clock) -> None:
    """At 03:00 UTC it is still the day before in New York."""
    now.moment = now.moment.replace(hour=3)
    note("site_added", "eve", subject="of-eve")
    with writing():
        db.session.execute(sa.text("UPDATE staff SET zone = 'America/New_York' WHERE name = 'vic'"))
        db.session.commit()
    assert len(lines(vic, "?from=2026-11-23&to=2026-11-23")) == 1
    assert lines(vic, "?from=2026-11-24") == []
    assert "23 Nov 2026, 22:00:00" in lines(vic)[0].replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?from=yesterday", "Write a day like 2026-11-24."),
        ("?to=2026-02-30", "Write a day like 2026-11-24."),
        ("?to=0001-01-01", "Write a day like 2026-11-24."),
        ("?to=9999-12-31", "Write a day like 2026-11-24."),
        ("?from=2026-11-24&to=2026-11-01", "This day is before the first one."),
    ],
)
def test_a_day_that_cannot_be_is_said_beside_its_field(
    week: None, vic: Browser, query: str, sentence: str
) -> None:
    answer = vic.get(LOG + query)
    assert sentence in errors(answer)
    assert ROW.findall(answer.text) == []
    assert vic.get(LOG + query, headers=HTMX).status_code == 422


def test_no_result_leads_back_to_all(week: None, vic: Browser) -> None:
    page = vic.get(f"{LOG}?who=nobody")
    calm(page, shows="Nothing in the log is like this.")
    assert f'href="{LOG}"' in page.text


# --- pages


def test_older_entries_page_by_page(town: Town, vic: Browser) -> None:
    """By key, so that what is added meanwhile shifts nothing (no row twice, none left out)."""
    for number in range(activity.PAGE * 2 + 5):
        note("site_changed", subject=f"s-{number}")
    seen, address = [], LOG
    while address:
        page = vic.get(address).text
        seen += re.findall(r">s-(\d+)<", page)
        note("key_added", subject="meanwhile")
        found = re.search(r'rel="next" href="([^"]+)"', page)
        address = html.unescape(found[1]) if found else ""
    assert seen == [str(number) for number in reversed(range(activity.PAGE * 2 + 5))]


def test_htmx_gets_rows_to_append_and_the_filters_go_along(town: Town, vic: Browser) -> None:
    for number in range(activity.PAGE + 1):
        note("site_changed", "eve", subject=f"s-{number}")
    note("key_added", "dana", subject="k")
    page = vic.get(f"{LOG}?who=eve").text
    found = re.search(r'hx-get="([^"]+before=[^"]+)"', page)
    assert found
    address = html.unescape(found[1])
    assert "who=eve" in address
    rest = vic.get(address, headers=HTMX).text
    assert rest.lstrip().startswith("<tr") and ">s-0<" in rest and 'id="older"' not in rest
    whole = vic.get(address)
    assert "Back to the newest" in whole.text and f'href="{LOG}?who=eve"' in whole.text


@pytest.mark.parametrize("before", ["x", "-1", "1" * 30, "²", "%00", ""])
def test_a_bad_cursor_is_no_cursor(week: None, vic: Browser, before: str) -> None:
    assert len(lines(vic, f"?before={before}")) == 4


# --- words


RECORDS = ("activity.record", "_log", "_record")


def test_every_action_that_is_recorded_has_words() -> None:
    recorded: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in RECORDS:
                recorded |= {
                    one.value
                    for argument in call.args[:2]
                    for one in ast.walk(argument)
                    if isinstance(one, ast.Constant)
                    and isinstance(one.value, str)
                    and re.fullmatch(r"[a-z]+(_[a-z]+)+", one.value)
                }
    assert len(recorded) > 15
    assert recorded - set(log_words.ACTIONS) == set()


def test_every_action_that_can_be_filtered_by_is_written_somewhere() -> None:
    """No choice of the list finds nothing for good."""
    code = [file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py")]
    code = [text for text in code if "ACTIONS = {" not in text]
    built = {f"{kind}_exported" for kind in ExportKind}
    there = {one for one in log_words.ACTIONS if any(f'"{one}"' in text for text in code)}
    assert set(log_words.ACTIONS) - there - built == set()


def test_an_action_of_a_later_version_is_shown_as_it_is_written(vic: Browser) -> None:
    note("moon_landed", subject="x")
    assert "Moon landed" in lines(vic)[0]


def test_subjects_lead_to_what_they_are(town: Town, vic: Browser) -> None:
    person = "A" * 22
    for action, subject in (
        ("category_moved", "offers"),
        ("site_changed", "web-shop"),
        ("number_shown", person),
        ("key_added", "till"),
    ):
        note(action, subject=subject)
    page, whole = vic.get(LOG).text, dana_owner(town).get(LOG).text
    for text in (page, whole):
        assert 'href="/admin/categories#offers"' in text
        assert 'href="/admin/sites/web-shop"' in text
        assert person in text
    assert 'href="/admin/keys">till' in whole and 'href="/admin/keys">till' not in page


def test_a_number_in_a_reason_is_masked(vic: Browser) -> None:
    """SEC-44. Reasons are free text, so somebody will type one."""
    hidden = (
        "202\u2011555\u20110143",
        "202\u2013555\u20130143",
        "202\u200b555\u200b0143",
        "202_555,0143",
    )
    for text in (ALICE, "+1 (202) 555-0143", "202.555.0143", "2025550143", *hidden):
        note("person_revoked", reason=f"called from {text} today", details={"note": [text, None]})
    found = " ".join(lines(vic))
    assert found.count("called from …0143 today") == 8
    assert "555" not in found


@pytest.mark.parametrize(
    "text",
    [
        "since 2026-11-24, 14:05:59",
        "on 10.04.2026 14:30, and on 4/10/2026.",
        "$1,250,000.00, or € 999.999,00",
    ],
)
def test_days_and_sums_are_no_numbers_of_people(text: str) -> None:
    assert phone.mask_within(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "10/04/2026 2025550143",
        "4/10/2026-2025550143",
        "12.04.2026.5550143",
        "$ 202 555 0143",
        "$202,555,014,3",
        "$202.555.0143",
        "$1,250,000 14:3025550143",
        "+10.04.20250143",
    ],
)
def test_a_number_is_masked_beside_a_day_or_a_sum(text: str) -> None:
    found = phone.mask_within(text)
    assert "…0143" in found and "555" not in found and "2025" not in found


def test_times_and_counts_are_no_numbers_of_people(vic: Browser) -> None:
    note("site_rotated", details={"until": "2026-12-01T15:00:00Z", "rows": 1234})
    assert "2026-12-01T15:00:00Z" in lines(vic)[0] and "1234" in lines(vic)[0]


def test_hostile_words_are_only_words(town: Town, vic: Browser) -> None:
    """SEC-38."""
    note(
        HOSTILE[:40], HOSTILE[:80], subject=HOSTILE, reason=HOSTILE, details={HOSTILE: [HOSTILE, 1]}
    )
    note("site_changed", subject=HOSTILE)
    note("number_shown", subject="../../evil")
    page = vic.get(LOG)
    calm(page, shows=HOSTILE)
    calm(vic.get(LOG, query_string={"who": HOSTILE, "what": HOSTILE, "from": HOSTILE}))


def test_looking_changes_nothing(week: None, vic: Browser) -> None:
    before = kept()
    assert len(lines(vic)) == 4
    assert kept() == before


def test_before_anything_was_done(town: Town, vic: Browser) -> None:
    calm(vic.get(LOG), shows="Nothing was done yet")


def test_a_setting_that_was_not_saved_is_no_entry(town: Town) -> None:
    eve = eve_editor(town)
    press(eve, "/admin/categories/offers/change", {"name": ""})
    said(press(eve, "/admin/categories/offers/move", {"way": "up"}), eve)
    calm(eve.get(LOG), shows="Nothing was done yet")


# --- commands


def test_what_commands_change_is_in_the_log_too(
    town: Town, vic: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of each; who called it is the name of the account on the server."""
    run = terminal.of(vic.application, monkeypatch)
    with writing():
        alarms.start(alarms.MISSED_TEXTS, "It went wrong.", now=clock.now())
        db.session.commit()
    origin = ("--origin", "https://shop.example")
    for words in (
        ("category", "add", "talks", "--name", "Talks"),
        ("site", "add", "shop", "--name", "Shop", *origin),
        ("site", "change", "shop", "--name", "Book shop"),
        ("site", "rotate", "shop", "--keep-days", "3"),
        ("site", "disable", "shop"),
        ("site", "enable", "shop"),
        ("key", "add", "till", "--scope", "write"),
        ("key", "revoke", "till"),
        ("alarm", "acknowledge", "missed_texts"),
    ):
        assert run(*words).exit_code == 0, words
    assert [entry.action for entry in log()] == [
        "category_added",
        *(f"site_{way}" for way in ("added", "changed", "rotated", "disabled", "enabled")),
        *("key_added", "key_revoked", "alarm_acknowledged"),
    ]
    assert log("site_changed")[0].details == {"name": ["Shop", "Book shop"]}
    assert all("on the command line" in line for line in lines(vic))
    assert len(lines(vic, "?about=shop")) == 5
