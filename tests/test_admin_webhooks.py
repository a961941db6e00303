"""/admin/webhooks: an owner adds a program that is told of changes, looks after it, stops it."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from prefcenter.models_staff import Role
from prefcenter.models_webhooks import EndpointEnd, WebhookEndpoint
from prefcenter.sms.posting import Answer
from prefcenter.upkeep import endpoints
from tests.cast import Town, rows
from tests.conftest import Browser, Clock
from tests.crm import Crm, again, listen, parked, subscriber
from tests.receiver import Receiver
from tests.settings_room import HOSTILE, calm, errors, kept, refuses, said, value_of
from tests.staff_room import dana_owner, log, press, vic_viewer

HOOKS = "/admin/webhooks"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")
ACTS = ("disable", "enable", "rotate", "test", "replay")


@pytest.fixture
def dana(town: Town) -> Browser:
    return dana_owner(town)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


def add(dana: Browser, url: str) -> tuple[WebhookEndpoint, str]:
    answer = press(dana, HOOKS, {"url": url})
    assert answer.status_code == 200
    [secret] = set(SECRET.findall(html.unescape(answer.text)))
    return endpoints.every()[-1], secret


def page(endpoint: WebhookEndpoint, act: str = "") -> str:
    return f"{HOOKS}/{endpoint.public_id}" + (f"/{act}" if act else "")


def test_the_secret_is_in_one_answer_and_nowhere_else(dana: Browser, receiver: Receiver) -> None:
    endpoint, secret = add(dana, receiver.url)
    assert secret not in str(rows()) and secret.removeprefix("whsec_") not in str(rows())
    for path in (HOOKS, page(endpoint), page(endpoint, "rotate"), "/admin/activity"):
        answer = dana.get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert not SECRET.search(html.unescape(answer.text)), path
    [entry] = log("webhook_added")
    assert (entry.staff_name, entry.subject) == ("dana", endpoint.public_id)
    assert entry.details == {"host": "127.0.0.1"}


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "whole address"),
        ("crm.example.com", "whole address"),
        ("http://10.0.0.1/", "https://"),
        ("https://10.0.0.1/", "private network"),
        ("https://[::ffff:169.254.169.254]/", "private network"),
        ("https://me:pw@crm.example.com/", "Leave out"),
        ("https://nobody.invalid/", "cannot be found"),
        ("https://crm.example.com/" + "x" * 500, "500 characters"),
        (HOSTILE, "whole address"),
    ],
)
def test_what_cannot_be_told_is_said_beside_its_field(dana: Browser, url: str, word: str) -> None:
    before = kept()
    answer = press(dana, HOOKS, {"url": url})
    [sentence] = errors(answer)
    assert word in sentence
    assert value_of(answer, "url") == url
    calm(answer)
    assert kept() == before


def test_pressed_twice_makes_no_second_one(dana: Browser, receiver: Receiver) -> None:
    add(dana, receiver.url)
    assert errors(press(dana, HOOKS, {"url": receiver.url})) == [
        "There is one for this address already."
    ]
    assert len(endpoints.every()) == 1
    for port in range(1, 10):
        listen(f"http://127.0.0.1:{port}/")
    assert "There are ten" in errors(press(dana, HOOKS, {"url": "http://127.0.0.1:99/"}))[0]


def test_a_ping_says_what_came_back(dana: Browser, receiver: Receiver) -> None:
    endpoint, _secret = add(dana, receiver.url)
    assert "It answered 204." in said(press(dana, page(endpoint, "test")), dana)
    assert [told.said["type"] for told in receiver.told] == ["webhook.ping"]
    receiver.answers = ["500"]
    told = said(press(dana, page(endpoint, "test")), dana)
    assert "It did not take the ping. It answered 500." in told
    assert [entry.details["taken"] for entry in log("webhook_tested")] == [True, False]


def test_turning_off_asks_first_and_on_goes_on_where_it_stopped(dana: Browser) -> None:
    endpoint = listen()
    before = kept()
    assert "not even that somebody stopped" in dana.get(page(endpoint, "disable")).text
    assert kept() == before
    assert "told nothing more" in said(press(dana, page(endpoint, "disable")), dana)
    assert again(endpoint).disabled_why is EndpointEnd.OWNER
    assert "Turned off by hand." in dana.get(page(endpoint)).text
    press(dana, page(endpoint, "disable"))
    assert len(log("webhook_disabled")) == 1
    assert "from where it stopped" in said(press(dana, page(endpoint, "enable")), dana)
    press(dana, page(endpoint, "enable"))
    assert again(endpoint).disabled_at is None
    assert len(log("webhook_enabled")) == 1


def test_a_new_secret_is_shown_once(dana: Browser, receiver: Receiver) -> None:
    endpoint, old = add(dana, receiver.url)
    assert "signed with both" in dana.get(page(endpoint, "rotate")).text
    answer = press(dana, page(endpoint, "rotate"))
    [new] = set(SECRET.findall(html.unescape(answer.text)))
    assert new != old and "also signs" in answer.text
    assert not SECRET.search(html.unescape(dana.get(page(endpoint)).text))
    assert len(log("webhook_rotated")) == 1


def test_what_was_given_up_is_listed_with_its_reason_and_told_again(
    dana: Browser, now: Clock
) -> None:
    endpoint, crm = listen(), Crm()
    crm.refuses = {subscriber(number, now=now.moment) for number in (143, 144)}
    crm.told(endpoint)
    now.moment += timedelta(days=4)
    crm.told(endpoint)
    again(endpoint)  # else the session that tests share gives what it knows of it
    dana = dana_owner(dana.application)
    found = dana.get(page(endpoint)).text
    assert found.count("It answered 500.") == 3 and "Said yes" in found  # and once as the last
    assert "5550143" not in found
    event = crm.tried[0].webhook_id
    assert "1 is told again." in said(press(dana, page(endpoint, "replay"), {"event": event}), dana)
    assert [row.dead_at is None for row in parked()] == [True, False]
    assert "1 is told again." in said(press(dana, page(endpoint, "replay")), dana)
    assert "0 are told again." in said(press(dana, page(endpoint, "replay")), dana)
    for unknown in ("nobody", HOSTILE):
        answer = press(dana, page(endpoint, "replay"), {"event": unknown})
        assert "0 are told again." in said(answer, dana)
    assert [entry.details["notices"] for entry in log("webhook_replayed")] == [1, 1]
    crm.refuses = set()
    assert len(crm.told(endpoint)) == 2
    assert "Whatever it was told of, it took." in dana.get(page(endpoint)).text


def test_what_is_told_again_while_it_is_off_comes_once_it_is_on(dana: Browser, now: Clock) -> None:
    endpoint, crm = listen(), Crm()
    crm.refuses = {subscriber(143, now=now.moment)}
    crm.told(endpoint)
    now.moment += timedelta(days=4)
    crm.told(endpoint)
    again(endpoint)
    dana = dana_owner(dana.application)
    press(dana, page(endpoint, "disable"))
    assert "It is turned off. Turn it on" in said(press(dana, page(endpoint, "replay")), dana)
    press(dana, page(endpoint, "enable"))
    crm.refuses = set()
    assert len(crm.told(endpoint)) == 1


def test_what_is_tried_again_is_not_said_to_be_taken(dana: Browser, now: Clock) -> None:
    endpoint, crm = listen(), Crm()
    crm.refuses = {subscriber(143, now=now.moment)}
    crm.told(endpoint)
    found = dana.get(page(endpoint)).text
    assert "it took." not in found and "tried again for three days" in found


def test_the_health_strip_says_when_a_program_is_not_told(
    town: Town, dana: Browser, now: Clock
) -> None:
    def strip(browser: Browser) -> str:
        return html.unescape(browser.get("/admin/health").text)

    assert "No program is told of changes." in strip(dana)
    endpoint, crm = listen(), Crm()
    assert "All are told." in strip(dana)
    subscriber(143, now=now.moment)
    now.forward(minutes=20)
    assert "A program is behind by 20 minutes." in strip(dana)
    crm.answers = [Answer(410, "It answered 410.")]
    crm.told(endpoint)
    assert "A program was not told of changes" in strip(dana)
    assert f'href="{HOOKS}"' in strip(dana)
    vic = vic_viewer(town)
    assert "A program was not told of changes" in strip(vic) and HOOKS not in strip(vic)
    assert "A program was not told of changes" in dana.get("/admin/alarms").text
    assert "It answered 410: it wants no more." in dana.get(page(endpoint)).text


def test_only_an_owner_comes_here(town: Town, dana: Browser) -> None:
    endpoint = listen()
    gets = [HOOKS, page(endpoint), page(endpoint, "disable"), page(endpoint, "rotate")]
    for role in (Role.VIEWER, Role.EDITOR):
        refuses(town, role, gets=gets, posts=[HOOKS, *(page(endpoint, act) for act in ACTS)])


@pytest.mark.parametrize("id_", ["1", "nobody", "x" * 300, "%00", "%"])
def test_an_unknown_one_is_404(dana: Browser, id_: str) -> None:
    assert dana.get(f"{HOOKS}/{id_}").status_code == 404
    for act in ACTS:
        assert press(dana, f"{HOOKS}/{id_}/{act}").status_code == 404


def test_hostile_words_are_only_words(dana: Browser) -> None:
    """SEC-38: what an address may hold, and what a program answers, which is never shown."""
    url = "http://127.0.0.1:9/'><script>alert(1)</script>?a={{7*7}}&b=\"x"
    endpoint, _secret = add(dana, url)
    for path in (HOOKS, page(endpoint), page(endpoint, "disable"), page(endpoint, "rotate")):
        calm(dana.get(path), shows=url)


def test_without_one_the_page_says_so(dana: Browser) -> None:
    calm(dana.get(HOOKS), shows="No webhook yet")
