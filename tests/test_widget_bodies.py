"""Forms, headers and logs of the widget's door: what is no form, and what no answer may say.

Where a form is refused, the same one made honestly is taken: no test here passes because the
form lacked something else.
"""

import json
import logging
import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from prefcenter.database import db
from prefcenter.models import Signup
from prefcenter.web.form_token import Way
from tests import mallory
from tests.cast import ALICE, BOB, CAROL, rows
from tests.shop_door import SHOP, Door, door

__all__ = ["door"]  # the fixture
FORM = "application/x-www-form-urlencoded"
EDGE = "----x"
MULTIPART = f"multipart/form-data; boundary={EDGE}"


# What a form may be


def _multipart(form: dict[str, str], extra: str = "") -> bytes:
    parts = "".join(
        f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n{value}\r\n'
        for name, value in form.items()
    )
    return f"{parts}--{EDGE}--\r\n".encode()


NO_FORMS: dict[str, tuple[str, Callable[[dict[str, str]], bytes]]] = {
    "JSON": ("application/json", lambda form: json.dumps(form).encode()),
    "almost a form": (f"{FORM}+json", lambda form: json.dumps(form).encode()),
    "text": ("text/plain", lambda form: urlencode(form).encode()),
    "lines": ("text/plain", lambda form: "\r\n".join(map("=".join, form.items())).encode()),
    "bytes": ("application/octet-stream", lambda form: urlencode(form).encode()),
    "XML": ("text/xml", lambda form: urlencode(form).encode()),
    "files": (MULTIPART, lambda form: _multipart(form, '; filename="a"')),
    "cut short": (MULTIPART, lambda form: _multipart(form)[:-40]),
    "another edge": ("multipart/form-data; boundary=other", _multipart),
    "two bytes a letter": (FORM, lambda form: urlencode(form).encode("utf-16")),
    "JSON as a form": (FORM, lambda form: json.dumps(form).encode()),
}


@pytest.mark.parametrize("name", NO_FORMS)
def test_only_a_form_is_a_form(door: Door, name: str) -> None:
    """SEC-5: all of it is right but the way that it is written."""
    form, (kind, body) = door.form(), NO_FORMS[name]
    assert not door.takes(body(form), content_type=kind)
    assert door.takes(form)


def test_a_form_as_scripts_send_it(door: Door) -> None:
    """fetch() with FormData: a page of the shop may do so itself."""
    assert door.takes(_multipart(door.form()), content_type=MULTIPART)


def test_an_address_is_no_form(door: Door) -> None:
    """A link that a person opens cannot fill anything in."""
    form = door.form()
    before = rows()
    for address in ("/o/shop", "/w/shop", "/o/shop/challenge", "/o/shop/sent"):
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
            hide = {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST", "Origin": SHOP}
            query = form | {"_method": "POST"}
            answer = door.browser.open(address, method=method, query_string=query, headers=hide)
            assert answer.status_code in (200, 405)
    for address in ("/w/shop", "/o/shop/challenge", "/o/shop/sent", "/w/shop.js", "/w/shop/logo"):
        assert door.browser.post(address, data=form, headers={"Origin": SHOP}).status_code == 405
    assert door.post({}, query_string=form).status_code == 422
    assert rows() == before
    assert door.takes(form)


def test_of_two_fields_of_one_name_the_first_counts(door: Door) -> None:
    """For every field alike: no other reader of ours sees the second."""
    form = door.form()
    before = [(name, "no") for name in ("consent",)]
    assert not door.takes(urlencode([*before, *form.items()]), content_type=FORM)
    twice = [*form.items(), ("number", BOB), ("consent", "no"), ("form_token", "x"), ("work", "x")]
    assert door.takes(urlencode(twice), content_type=FORM)
    assert [row.number for row in db.session.scalars(sa.select(Signup))] == [ALICE]


def test_ten_thousand_fields(door: Door) -> None:
    form = door.form()
    many = "&".join(f"{n}=" for n in range(10_000))
    assert len(many) < 60_000
    parts = _multipart(form)[: -len(f"--{EDGE}--\r\n")]
    parts += f'--{EDGE}\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'.encode() * 1_001
    assert door.post(parts + f"--{EDGE}--\r\n".encode(), content_type=MULTIPART).status_code == 413
    slugs = "&".join(f"categories=x{n}&shown=x{n}" for n in range(1_500))
    assert not door.takes(f"{urlencode(form)}&{slugs}", content_type=FORM)
    assert door.takes(f"{many}&{urlencode(form)}", content_type=FORM)


@pytest.mark.parametrize("longest", [64 * 1024, 64 * 1024 + 1])
def test_sixty_four_kilobytes(door: Door, longest: int) -> None:
    """SEC-5: to the byte."""
    body = urlencode(door.form()) + "&x="
    body += "x" * (longest - len(body))
    if longest <= 64 * 1024:
        assert door.takes(body, content_type=FORM)
    else:
        assert door.post(body, content_type=FORM).status_code == 413
        assert rows()["signup"] == []


def test_a_body_without_a_length_is_refused(door: Door) -> None:
    body = urlencode(door.form()).encode()
    before = rows()
    answer = door.browser.post(
        "/o/shop",
        data=body,
        content_type=FORM,
        headers={"Origin": SHOP},
        environ_overrides={"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"},
    )
    assert answer.status_code in (400, 411)
    assert rows() == before


# What goes into headers and back


_INJECTED = "\r\nSet-Cookie: a=b\r\n\r\n<script>alert(1)</script>"


@pytest.mark.parametrize(
    "field", ["return_to", "lang", "source", "page", "button", "country", "number", "text_version"]
)
@pytest.mark.parametrize("start", ["", f"{SHOP}/", "en", "US"])
def test_no_field_reaches_a_header_or_a_script(door: Door, field: str, start: str) -> None:
    """SEC-38, SEC-45: as a form that is taken, shown again, or refused."""
    value = start + _INJECTED
    for form in (
        door.form() | {field: value},
        door.form(work="") | {field: value},
        door.form(form_token="x") | {field: value},
        {field: value},
    ):
        for accept in ("text/html", "application/json"):
            answer = door.post(form, headers={"Accept": accept})
            assert answer.status_code < 500
            assert "Set-Cookie" not in answer.headers
            assert not [v for _, v in answer.headers if "\n" in v or "\r" in v or "alert" in v]
            assert "<script>alert" not in answer.text


def test_addresses_with_lines_in_them(door: Door) -> None:
    query = {"to": "0143" + _INJECTED, "lang": "es" + _INJECTED, "source": "a" + _INJECTED}
    for address in ("/w/shop", "/o/shop/sent", "/o/shop/challenge", "/w/shop%0d%0aX:%20y"):
        answer = door.browser.get(address, query_string=query, headers={"Origin": SHOP})
        assert answer.status_code in (200, 404)
        assert not [v for _, v in answer.headers if "alert" in v] and "X" not in answer.headers
        assert "alert(1)" not in answer.text


# What an answer or a log tells


def test_no_answer_shows_a_number_that_was_not_typed_there(door: Door) -> None:
    """SEC-17, SEC-24: Alice, Bob and Carol are known, and no page or script of ours says so."""
    door.town.alice()
    door.town.carol()
    typed = "+12025550199"
    answers = [
        door.post(door.form(typed)),
        door.post(door.form(typed, form_token="x")),
        door.post(door.form(typed, work="")),
        door.post({"number": "12"}),
        door.post(door.form(typed), headers={"Accept": "text/html"}),
        door.post(door.form(typed), headers={"Origin": "https://mallory.example"}),
        *(door.browser.get(path) for path in ("/w/shop", "/o/shop/challenge", "/o/shop/sent")),
    ]
    for answer in answers:
        text = re.sub(r"[\s().-]", "", answer.text + str(answer.headers))
        assert not [who for who in (ALICE, BOB, CAROL) if who.removeprefix("+1") in text]
    assert "0199" in answers[4].headers["Location"]
    assert typed.removeprefix("+1") not in str(answers[4].headers)
    assert "2025550199" not in re.sub(r"\D", "", answers[5].text)


@pytest.mark.settings(NUMBER_TEXTS_PER_DAY="1", PLAIN_TEXTS_PER_HOUR="0", IP_TEXTS_PER_HOUR="2")
def test_no_answer_or_log_tells_which_limit_it_was(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """SEC-24: new, asked before, subscribed, stopped, a full address, a closed way: one answer."""
    door.town.alice()
    door.town.carol()
    caplog.set_level(logging.DEBUG)
    heard = set()
    place = door.place()
    for number, way in (
        *((number, Way.SCRIPT) for number in (ALICE, BOB, BOB, CAROL, "+12025550199")),
        *((number, Way.STEP) for number in (ALICE, BOB, CAROL, "+12025550198")),
    ):
        data = mallory.form(place, number, now=door.clock.now(), way=way)
        answer = door.post(data, headers={"Accept": "text/html"})
        headers = [(k, v) for k, v in answer.headers if k != "Date"]
        told = f"{answer.status_code} {headers} {answer.text}"
        heard.add(told.replace(number[-4:], "…"))
        door.town.work()
    assert len(heard) == 1
    said = " ".join(str(record.__dict__) for record in caplog.records)
    assert not [w for w in (ALICE, BOB, CAROL, "+12025550199") if w.removeprefix("+1") in said]
    assert "form_token" not in said and ".script." not in said
    ours = " ".join(r.getMessage() for r in caplog.records if r.name.startswith("prefcenter"))
    assert not re.search(r"limit|known|subscrib|stopped|suppress", ours)
