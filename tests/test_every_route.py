"""Walks every route: a guard is named, a GET changes nothing, every page is sound."""

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from prefcenter import links
from prefcenter.consent import sites
from prefcenter.consent.sites import Place
from prefcenter.database import db, writing
from prefcenter.links import PATHS, Purpose
from prefcenter.web import embed, guards
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Browser, Clock

PURPOSE_OF = {path: purpose for purpose, path in PATHS.items()}
FORGED = "a" * 31
FOR_VONAGE = "/webhooks/"  # what is not signed is answered 503, so that it comes again
FOR_PROGRAMS = "/api/"  # nothing without a key
PROBLEM = "application/problem+json"
SHOP = "shop"
DIGEST = "<string(length=16):digest>"
FRAMED = ("/w/", "/o/")  # by the pages of a site
KEPT = re.compile(r"/assets/|/w/shop(\.|/logo)")  # by browsers, for a while or for ever


def rules(app: Flask) -> list[Rule]:
    return list(app.url_map.iter_rules())


def token(person: str, purpose: Purpose, town: Town) -> str:
    found = town.person(person)
    return links.make(purpose, found.link_id, now=town.now(), opted_out_at=found.opted_out_at)


def addresses(app: Flask, town: Town, method: str) -> Iterator[str]:
    """Every address that takes this method, with the links of Alice, Bob and Carol in it."""
    script = next(iter(re.findall(r"/assets/[\w.-]+\.js", town.browser.get("/").text)))
    digest = embed.made(open_shop(town)).digest
    for rule in rules(app):
        if method not in (rule.methods or ()):
            continue
        purpose = PURPOSE_OF.get(rule.rule[:3])
        if "<token>" in rule.rule:
            assert purpose, rule.rule
            for person in (ALICE, BOB, CAROL):
                yield rule.rule.replace("<token>", token(person, purpose, town))
        elif "<key>" in rule.rule:
            for site in (SHOP, "nobody"):
                yield rule.rule.replace("<key>", site).replace(DIGEST, digest)
        elif "<" in rule.rule:
            yield script
        else:
            yield rule.rule


def open_shop(town: Town) -> Place:
    """The site whose pages carry our widget."""
    place = sites.find(SHOP, now=town.now())
    if place is None:
        with writing():
            logo = (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml")
            site = sites.add(SHOP, "The shop", origins=["https://shop.example"], now=town.now())
            sites.change(site, logo=logo)
            db.session.commit()
        return open_shop(town)
    return place


@pytest.fixture
def everybody(town: Town) -> Town:
    town.alice()
    town.bob()
    town.carol()
    open_shop(town)
    return town


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_endpoint_names_its_guard(app: Flask) -> None:
    """STYLE: the whole attack surface is named where it is registered."""
    for rule in rules(app):
        assert guards.guard_of(app, rule.endpoint), f"{rule.endpoint} ({rule.rule}) has no guard"
        if "<token>" in rule.rule:
            purpose = PURPOSE_OF[rule.rule[:3]]
            assert guards.guard_of(app, rule.endpoint) == f"signed link: {purpose}"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_safe_methods_change_nothing(app: Flask, everybody: Town, method: str) -> None:
    """SEC-1, INV-8: whoever opens a link, the whole database stays as it is."""
    before = rows()
    seen = 0
    for address in addresses(app, everybody, method):
        for query in ("", "?done=saved&lang=es"):
            with everybody.browser.open(address + query, method=method) as answer:
                assert answer.status_code < 500 or address.startswith(FOR_VONAGE), address
                seen += 1
    assert seen > 60
    assert rows() == before


class Page(HTMLParser):
    """What an auditor looks for on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open_labels = 0
        self.unlabelled: list[dict[str, str]] = []
        self.text_of: Counter[str] = Counter()
        self.stack: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        self.open_labels += tag == "label"
        self.stack.append(tag)
        if tag in ("input", "select", "textarea") and found.get("type") != "hidden":
            named = self.open_labels or "aria-label" in found or "aria-labelledby" in found
            if not named:
                self.unlabelled.append(found)

    def handle_endtag(self, tag: str) -> None:
        self.open_labels -= tag == "label"
        if tag in self.stack:
            while self.stack.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.stack:
            self.text_of[self.stack[-1]] += len(data.strip())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def audit(answer: TestResponse, app: Flask, where: str) -> None:
    page = Page(answer.text)
    own = ["prefs.test"] if "/dev/outbox" in where else []  # shows whole texts
    assert page.all("html")[0].get("lang") in ("en", "es"), where
    assert page.text_of["title"] > 3, where
    assert len(page.all("h1")) == 1, where
    assert len(page.all("main")) == 1, where
    ids = Counter(found["id"] for _tag, found in page.tags if "id" in found)
    assert not [name for name, count in ids.items() if count > 1], where
    labelled = {found.get("for") for found in page.all("label")}
    assert not [one for one in page.unlabelled if one.get("id") not in labelled], where
    for form in page.all("form"):
        assert form.get("method", "").lower() == "post", where
        assert form.get("hx-post", form["action"]) == form["action"], where
        assert_takes_post(app, form["action"], where)
    for tag, found in page.tags:
        assert not [name for name in found if name.startswith("on") or name == "style"], where
        for name in ("src", "href", "action"):
            parts = urlsplit(found.get(name, ""))
            assert parts.netloc in ("", *own), (where, tag)
            assert parts.netloc or parts.scheme in ("", "data", "mailto", "tel"), (where, tag)
    ours = ("/assets/", "/w/")
    assert all(script.get("src", "").startswith(ours) for script in page.all("script")), where


def assert_takes_post(app: Flask, action: str, where: str) -> None:
    """A button whose form leads nowhere is a customer who cannot stop."""
    parts = urlsplit(action)
    assert not parts.scheme and not parts.netloc and action.startswith("/"), where
    try:
        app.url_map.bind("prefs.test").match(parts.path, method="POST")
    except HTTPException as error:
        raise AssertionError(f"{where}: {action} takes no POST ({error.code})") from error


HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}


def audit_headers(answer: TestResponse, where: str) -> None:
    """SEC-4."""
    for name, value in HEADERS.items():
        assert answer.headers.get(name) == value, (where, name)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy, where
    framing = r"('none'|'self' https://shop\.example)\Z"
    if not where.startswith(FRAMED):
        framing = "'none'"
    for word in (r"base-uri 'none'", r"form-action '(self|none)'", f"frame-ancestors {framing}"):
        assert re.search(word, policy), (where, policy)
    assert "Permissions-Policy" in answer.headers, where
    assert "Set-Cookie" not in answer.headers, where
    if answer.status_code != 200 or not KEPT.match(where):
        assert answer.headers["Cache-Control"] == "no-store", where


def test_every_page_is_sound(app: Flask, everybody: Town, now: Clock) -> None:
    """SEC-4 and DESIGN, for each page in each language, fresh and a month and a year old."""
    old = list(addresses(app, everybody, "GET"))
    pages = 0
    for days in (0, 32, 333):
        now.forward(days=days)
        for address in old:
            for query in ("", "?lang=es&done=stopped"):
                with everybody.browser.get(address + query) as answer:
                    audit_headers(answer, address)
                    if answer.mimetype == "text/html":
                        audit(answer, app, f"{address} after {days} days")
                        pages += 1
    assert pages > 150


def test_what_a_press_answers_is_sound_too(app: Flask, everybody: Town) -> None:
    """Every POST with an empty form: no error of ours, and a page or a 303 to one."""
    for address in list(addresses(app, everybody, "POST")):
        for headers in ({}, {"HX-Request": "true"}):
            with everybody.browser.post(address, headers=headers) as answer:
                audit_headers(answer, address)
                if address.startswith(FOR_VONAGE):
                    assert (answer.status_code, answer.mimetype) == (503, PROBLEM), address
                    continue
                if address.startswith(FOR_PROGRAMS):
                    assert (answer.status_code, answer.mimetype) == (401, PROBLEM), address
                    continue
                assert answer.status_code in (200, 303, 404, 409, 410, 422), address
                if answer.status_code == 303:
                    assert answer.headers["Location"].startswith("/"), address
                elif not headers:
                    audit(answer, app, f"POST {address}")


def test_a_button_pressed_on_an_old_tab_leads_on(app: Flask, town: Town) -> None:
    """Alice stops with her confirm link; every button of the page that answers must work."""
    link = town.bob(ALICE)
    town.browser.post(link)
    answer = town.browser.post(f"{link}/stop", follow_redirects=True)
    audit(answer, app, "/c/…/stop")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "GET"])
def test_a_wrong_method_is_405_and_changes_nothing(
    app: Flask, everybody: Town, method: str
) -> None:
    before = rows()
    taken = set(addresses(app, everybody, method))
    every = {*addresses(app, everybody, "GET"), *addresses(app, everybody, "POST")}
    for address in every - taken:
        with everybody.browser.open(address, method=method) as answer:
            assert answer.status_code == 405, (method, address)
            assert answer.headers["Allow"], address
            audit_headers(answer, address)
    assert rows() == before


@pytest.mark.parametrize("host", ["evil.example", "prefs.test.evil.example", "prefs.test@evil", ""])
def test_an_unknown_host_is_400(client: Browser, host: str) -> None:
    """SEC-3."""
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.text


def test_a_body_over_64_kib_is_413(client: Browser) -> None:
    """SEC-5; just under it is read."""
    assert client.post("/", data={"number": "1" * 65_600}).status_code == 413
    assert client.post("/", data={"number": "1" * 65_000}).status_code == 422


def test_a_body_without_a_length_is_411_and_not_cut(town: Town) -> None:
    """SEC-5."""
    link = town.alice()
    before = rows()
    for address in ("/", link, f"{link}/stop"):
        answer = town.browser.post(
            address,
            input_stream=BytesIO(b"number=1"),
            headers={"Transfer-Encoding": "chunked"},
            content_type="application/x-www-form-urlencoded",
            environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
        )
        assert answer.status_code == 411, address
    assert rows() == before


def test_mallory_cannot_tell_one_bad_link_from_another(everybody: Town, app: Flask) -> None:
    """SEC-19: forged, malformed, of nobody and of somebody erased have one answer."""
    erased = {purpose: token(CAROL, purpose, everybody) for purpose in Purpose}
    with writing():
        db.session.execute(
            sa.text("UPDATE person SET status = 'redacted' WHERE number = :number"),
            {"number": CAROL},
        )
        db.session.commit()
    for rule in rules(app):
        if "<token>" not in rule.rule:
            continue
        purpose = PURPOSE_OF[rule.rule[:3]]
        other = next(one for one in Purpose if one is not purpose)
        nobody = links.make(purpose, 12345, now=everybody.now())
        bad = [
            FORGED, "not-a-token-at-all", nobody[:-1], nobody, erased[purpose],
            token(ALICE, other, everybody), nobody[::-1],
        ]  # fmt: skip
        for method in ("GET", "POST"):
            if method not in (rule.methods or ()):
                continue
            answers = set()
            for text in bad:
                address = rule.rule.replace("<token>", text)
                with everybody.browser.open(address, method=method) as answer:
                    body = answer.text.replace(text, "…")
                    headers = {k: v for k, v in answer.headers if k != "Content-Length"}
                    answers.add((answer.status_code, body, str(sorted(headers.items()))))
            assert len(answers) == 1, (method, rule.rule)
            assert next(iter(answers))[0] == 404, (method, rule.rule)
