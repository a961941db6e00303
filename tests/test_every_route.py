"""Walks every route: a guard is named, a GET changes nothing, every page is sound."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
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
from prefcenter.upkeep import endpoints
from prefcenter.web import embed, guards
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Browser, Clock
from tests.staff_room import dana_owner, eve_editor, hire, press, stranger, vic_viewer

PURPOSE_OF = {path: purpose for purpose, path in PATHS.items()}
FORGED = "a" * 31
FOR_VONAGE = "/webhooks/"  # what is not signed is answered 503, so that it comes again
FOR_PROGRAMS = "/api/"  # nothing without a key
PROBLEM = "application/problem+json"
SHOP = "shop"
DIGEST = "<string(length=16):digest>"
FRAMED = ("/w/", "/o/")  # by the pages of a site
WORD = re.compile(r"<(?:[^:<>]+:)?(\w+)>")  # in the address of a rule
FRAME = "/preview/"  # a page of somebody else's, in a frame
# By browsers, for a while or for ever.
KEPT = re.compile(r"/assets/|/w/shop(\.|/logo)|/api/v1/openapi")


def rules(app: Flask) -> list[Rule]:
    """All but the pages for staff, which are looked at further down."""
    return [rule for rule in app.url_map.iter_rules() if not is_admin(rule)]


def is_admin(rule: Rule) -> bool:
    return rule.rule.startswith("/admin")


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
        elif "<" in rule.rule and "<ref>" not in rule.rule:
            yield script
        else:
            yield rule.rule.replace("<ref>", "nothing")


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
    for rule in app.url_map.iter_rules():
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
        audit_form(form, app, where)
    for tag, found in page.tags:
        assert not [name for name in found if name.startswith("on") or name == "style"], where
        for name in ("src", "href", "action"):
            parts = urlsplit(found.get(name, ""))
            assert parts.netloc in ("", *own), (where, tag)
            assert parts.netloc or parts.scheme in ("", "data", "mailto", "tel"), (where, tag)
    ours = ("/assets/", "/w/")
    assert all(script.get("src", "").startswith(ours) for script in page.all("script")), where


def audit_form(form: dict[str, str], app: Flask, where: str) -> None:
    """Pages for staff may also search and filter by GET, and close a dialog."""
    method = form.get("method", "").lower()
    if where.startswith("/admin") and method == "dialog":
        return
    assert method == "post" or (method == "get" and where.startswith("/admin")), where
    action = form.get("action", urlsplit(where).path if method == "get" else "")
    assert form.get(f"hx-{method}", action) == action, where
    assert_takes(app, method.upper(), action, where)


def assert_takes(app: Flask, method: str, action: str, where: str) -> None:
    """A button whose form leads nowhere is a customer who cannot stop."""
    parts = urlsplit(action)
    assert not parts.scheme and not parts.netloc and action.startswith("/"), where
    try:
        app.url_map.bind("prefs.test").match(parts.path, method=method)
    except HTTPException as error:
        raise AssertionError(f"{where}: {action} takes no {method} ({error.code})") from error


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
    assert "Permissions-Policy" in answer.headers, where
    for word in (r"base-uri 'none'", r"form-action '(self|none)'", f"frame-ancestors {framing}"):
        assert re.search(word, policy), (where, policy)
    assert "Set-Cookie" not in answer.headers or where.startswith("/admin"), where
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


# --- the pages for staff


def admin_addresses(app: Flask, town: Town, method: str) -> list[str]:
    """Every address under /admin that takes this method, of things that exist where it can."""
    found = []
    places = {
        "admin_people": {"public_id": town.person(ALICE).public_id},
        "admin_staff": {"public_id": hire("zoe").public_id, "act": "disable"},
        "admin_categories": {"slug": "offers"},
        "admin_sites": {"slug": SHOP, "number": "1"},
        "admin_texts": {"kind": "welcome", "language": "en"},
        "admin_webhooks": {"public_id": told_address(town), "act": "rotate"},
    }
    for rule in app.url_map.iter_rules():
        if is_admin(rule) and method in (rule.methods or ()):
            known = places.get(rule.endpoint.partition(".")[0], {})
            values = [known.get(name, "1") for name in WORD.findall(rule.rule)]
            left = iter(values)
            found.append(WORD.sub(lambda _match, left=left: next(left), rule.rule))
    return found


def told_address(town: Town) -> str:
    """A webhook of an address where nobody listens."""
    if not (found := endpoints.every()):
        with writing():
            endpoint, _secret = endpoints.add("http://127.0.0.1:9/", after=0, now=town.now())
            db.session.commit()
        return endpoint.public_id
    return found[0].public_id


def audited(answer: TestResponse, address: str) -> bool:
    return answer.mimetype == "text/html" and FRAME not in address


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_safe_methods_change_nothing_for_staff(app: Flask, everybody: Town, method: str) -> None:
    """SEC-1, INV-8: whoever looks, however often. When they looked is noted: sessions.touch."""
    browser, addresses_of_staff = dana_owner(app), admin_addresses(app, everybody, method)
    before, seen = rows(), 0
    for address in addresses_of_staff:
        for headers in ({}, {"HX-Request": "true"}):
            with browser.open(address, method=method, headers=headers) as answer:
                assert answer.status_code < 500, (address, answer.text)
                answer.get_data()  # what is streamed is made while it is read
            seen += 1
    assert seen > 60
    assert rows() == before


@pytest.mark.parametrize("who", [dana_owner, eve_editor, vic_viewer])
def test_every_page_for_staff_is_sound(
    app: Flask, everybody: Town, who: Callable[[Flask], Browser]
) -> None:
    browser, pages = who(app), 0
    for address in admin_addresses(app, everybody, "GET"):
        for query in ("", "?lang=es"):
            with browser.get(address + query) as answer:
                assert answer.status_code < 500, address
                if "/preview/" in address:
                    continue  # plays a page of another website, with a policy of its own
                audit_headers(answer, address)
                if answer.status_code != 303 and audited(answer, address):
                    audit(answer, app, address)
                    pages += 1
    assert pages > 40


def test_what_a_press_answers_staff_is_sound_too(app: Flask, everybody: Town) -> None:
    """Every POST with an empty form: no error of ours, and a page or a 303 to one."""
    for address in admin_addresses(app, everybody, "POST"):
        for headers in ({}, {"HX-Request": "true"}):
            browser = dana_owner(app)  # a fresh one, because some addresses sign out
            with press(browser, address, headers=headers) as answer:
                audit_headers(answer, address)
                assert answer.status_code in (200, 303, 404, 409, 422), (address, answer.text)
                if answer.status_code == 303:
                    assert answer.headers["Location"].startswith("/admin"), address
                elif not headers and audited(answer, address):
                    audit(answer, app, address)


def test_strangers_see_the_door_and_nothing_else(app: Flask, everybody: Town) -> None:
    addresses_of_staff = admin_addresses(app, everybody, "GET")
    before = rows()
    for address in addresses_of_staff:
        with stranger(app).get(address) as answer:
            audit_headers(answer, address)
            if answer.status_code == 200:
                assert address in ("/admin/sign-in", "/admin/signed-out")
                audit(answer, app, address)
    assert rows() == before
