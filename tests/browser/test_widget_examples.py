"""The examples at work: each on an origin of its own, used in a browser until a text confirms."""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, Page, expect

from prefcenter import clock
from prefcenter.consent import api_keys, people, sites
from prefcenter.database import db, writing
from prefcenter.models import ConsentEvent, Evidence, Source, Status
from prefcenter.web import snippets
from tests.browser import example_hosts
from tests.browser.example_hosts import EXAMPLES, MAKERS, PLACEHOLDER, SITE, Host
from tests.browser.shop import Shop

# As npm publishes them: react@18.3.1 and react-dom@18.3.1, umd/.
REACT = {
    "LICENSE": "52412d7bc7ce4157ea628bbaacb8829e0a9cb3c58f57f99176126bc8cf2bfc85",
    "react-dom.production.min.js": (
        "35f4f974f4b2bcd44da73963347f8952e341f83909e4498227d4e26b98f66f0d"
    ),
    "react.production.min.js": "d949f1c3687aedadcedac85261865f29b17cd273997e7f6b2bfc53b2f9d4c4dd",
}
AGREE = "I agree to get recurring"
YOUNGEST = 2_100  # ms; a form that is sent sooner was filled in by a program


@pytest.fixture(scope="module")
def hosts(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    """All examples, each on its own port, and the one site that lists them."""
    folder = tmp_path_factory.mktemp("examples")
    found = {
        name: Host(make(example_hosts.copy(name, folder, shop.url)))
        for name, make in MAKERS.items()
    }
    with shop.app.app_context(), writing():
        origins = [host.url for host in found.values()]
        if any(site.slug == SITE for site in sites.every()):  # pytest may make a module's twice
            sites.change(sites.by_slug(SITE), origins=origins)
        else:
            sites.add(SITE, "Shop", origins=origins, about=example_hosts.ABOUT, now=clock.now())
        secret = api_keys.make(f"checkout {folder.name}", ["write"], now=clock.now())
        db.session.commit()
    key = folder / "key"
    key.write_text(secret + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFCENTER_KEY_FILE", str(key))
        yield found
    for host in found.values():
        host.close()


def visit(browser: Browser, *, scripts: bool = True) -> BrowserContext:
    """Alice's phone, which complains about what the page's policy refuses."""
    context = browser.new_context(
        viewport={"width": 360, "height": 740},
        locale="en-US",
        reduced_motion="reduce",
        java_script_enabled=scripts,
    )
    context.set_default_timeout(6_000)
    return context


@pytest.fixture
def alices(browser: Browser) -> Iterator[Page]:
    """Her page; at the end nothing was refused, thrown or left on her phone."""
    faults: list[str] = []
    with closing(visit(browser)) as context:
        context.on(
            "console",
            lambda one: faults.append(one.text) if one.type in ("error", "warning") else None,
        )
        context.on("weberror", lambda error: faults.append(str(error.error)))
        yield context.new_page()
        assert (faults, context.cookies()) == ([], [])


def fill_in(page: Page, number: str, *, tick: bool = True) -> None:
    """The visible form, ours or the plain one. What is agreed to stands beside the box."""
    page.get_by_role("textbox", name="Mobile number").fill(number)
    box = page.get_by_role("checkbox", name=AGREE)
    expect(box).not_to_be_checked()
    if tick:
        box.check()


def text_me(page: Page) -> None:
    page.get_by_role("button", name="Text me a link to confirm").click()


def is_told_to_look(page: Page, number: str) -> None:
    expect(page.get_by_role("heading", name="Look at your phone")).to_be_visible()
    expect(page.get_by_text(f"number ending {number[-4:]}")).to_be_visible()


def one_more_step(page: Page) -> None:
    """The page that stands for a proof of work."""
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.wait_for_timeout(YOUNGEST)  # as a person who reads it
    page.get_by_role("button", name="Text me the link").click()


def confirms(shop: Shop, number: str, source: Source, page_url: str) -> None:
    """Exactly one text went out, its link turns texts on, and the proof knows the page."""
    link = shop.texted(number, "/c/")
    assert len(shop.texts(number)) == 1
    assert shop.post(link).status_code == 303
    with shop.app.app_context():
        person = people.by_number(number)
        assert person is not None and person.status is Status.SUBSCRIBED
        query = sa.select(ConsentEvent, Evidence.body).join(Evidence)
        query = query.where(ConsentEvent.person_id == person.id).order_by(ConsentEvent.seq)
        asked, body = db.session.execute(query).all()[0]
        assert (asked.source, asked.source_detail) == (source, SITE)
        seen = json.loads(body)
        assert seen["page_url"] == page_url
        assert ("key" in seen["answer"]) is (source is Source.API)
        db.session.rollback()


# --- what is pasted


def snippet(shop: Shop, kind: str) -> str:
    """What the command prints, with the examples' placeholder."""
    with shop.app.app_context():
        place = sites.find(SITE, now=clock.now())
        assert place is not None
        db.session.rollback()
        return snippets.html(place, kind, "en").replace(shop.url, PLACEHOLDER)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("static/index.html", "element"),
        ("wordpress/block.html", "element"),
        ("flask_shop/templates/_texts.html", "element"),
        ("checkout/templates/_texts.html", "field"),
    ],
)
def test_the_example_holds_what_the_command_prints(
    shop: Shop, hosts: dict[str, Host], file: str, kind: str
) -> None:
    """So that its words and their version are those of now."""
    lines = (EXAMPLES / file).read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if 'name="return_to"' not in line)
    assert snippet(shop, kind) in text


def test_react_is_the_one_that_was_published() -> None:
    folder = Path(__file__).parent / "vendor" / "react-18.3.1"
    actual = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    assert actual == REACT


# --- a static page


def test_alice_signs_up_on_a_static_page(
    shop: Shop, hosts: dict[str, Host], alices: Page, number: str
) -> None:
    """Under the policy that the page brings: nothing but its own style and our host."""
    where = f"{hosts['static'].url}/index.html"
    alices.goto(where)
    fill_in(alices, number)
    text_me(alices)
    is_told_to_look(alices, number)
    assert alices.url == where
    confirms(shop, number, Source.WIDGET, where)


def test_where_the_script_is_blocked_the_plain_form_does(
    shop: Shop, hosts: dict[str, Host], browser: Browser, number: str
) -> None:
    with closing(visit(browser)) as context:
        context.route("**/w/*.js", lambda route: route.abort())
        page = context.new_page()
        page.goto(f"{hosts['static'].url}/index.html")
        fill_in(page, number)
        text_me(page)
        one_more_step(page)
        is_told_to_look(page, number)
    confirms(shop, number, Source.FORM, f"{hosts['static'].url}/")


# --- a Flask shop


def test_alice_signs_up_in_a_flask_shop(
    shop: Shop, hosts: dict[str, Host], alices: Page, number: str
) -> None:
    alices.goto(f"{hosts['flask_shop'].url}/")
    fill_in(alices, number)
    text_me(alices)
    is_told_to_look(alices, number)
    confirms(shop, number, Source.WIDGET, f"{hosts['flask_shop'].url}/")


def test_without_scripts_she_comes_back_to_the_shop(
    shop: Shop, hosts: dict[str, Host], browser: Browser, number: str
) -> None:
    with closing(visit(browser, scripts=False)) as context:
        page = context.new_page()
        page.goto(f"{hosts['flask_shop'].url}/")
        fill_in(page, number)
        text_me(page)
        one_more_step(page)
        expect(page.get_by_role("heading", name="Look at your phone")).to_be_visible()
        assert page.url == f"{hosts['flask_shop'].url}/thanks?prefcenter=sent"
    confirms(shop, number, Source.FORM, f"{hosts['flask_shop'].url}/")


# --- React


def test_alice_signs_up_in_a_react_app(
    shop: Shop, hosts: dict[str, Host], alices: Page, number: str
) -> None:
    """StrictMode mounts twice; the script is loaded once, and the app hears what happened."""
    where = f"{hosts['react'].url}/index.html"
    alices.goto(where)
    fill_in(alices, number)
    text_me(alices)
    is_told_to_look(alices, number)
    expect(alices.locator("#thanks")).to_have_text("Thank you. See you in the shop!")
    assert alices.locator(f"script[src='{shop.url}/w/{SITE}.js']").count() == 1
    confirms(shop, number, Source.WIDGET, where)


_MOUNT_LATER = """async ([server, site]) => {
  const [{ createElement }, { createRoot }, { OptIn }] = await Promise.all(
    ["react", "react-dom/client", new URL("OptIn.js", location).href].map((name) => import(name)),
  );
  const box = document.body.appendChild(document.createElement("div"));
  return Promise.race([
    new Promise((onReady) =>
      createRoot(box).render(createElement(OptIn, { server, site, onReady }))
    ).then((event) => event.type),
    new Promise((late) => setTimeout(late, 3000, "late")),
  ]);
}"""


def test_an_app_hears_that_a_form_is_ready_also_of_one_that_it_shows_later(
    shop: Shop, hosts: dict[str, Host], alices: Page
) -> None:
    """The script is there by then, so the element is drawn before React lets anybody listen."""
    alices.goto(f"{hosts['react'].url}/index.html")
    expect(alices.get_by_role("textbox", name="Mobile number")).to_be_visible()
    assert alices.evaluate(_MOUNT_LATER, [shop.url, SITE]) == "prefcenter:ready"


def test_where_the_script_is_blocked_react_leaves_a_link(
    shop: Shop, hosts: dict[str, Host], browser: Browser
) -> None:
    with closing(visit(browser)) as context:
        context.route("**/w/*.js", lambda route: route.abort())
        page = context.new_page()
        page.goto(f"{hosts['react'].url}/index.html")
        page.get_by_role("link", name="Get texts from us").click()
        expect(page.get_by_role("textbox", name="Mobile number")).to_be_visible()
        assert page.url == f"{shop.url}/w/{SITE}"


# --- WordPress


def test_alice_signs_up_in_a_wordpress_post(
    shop: Shop, hosts: dict[str, Host], alices: Page, number: str
) -> None:
    where = f"{hosts['wordpress'].url}/news"
    alices.goto(where)
    fill_in(alices, number)
    text_me(alices)
    is_told_to_look(alices, number)
    confirms(shop, number, Source.WIDGET, where)


# --- a checkout


def orders(page: Page) -> None:
    page.get_by_role("textbox", name="E-mail").fill("alice@example.com")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("heading", name="Thank you for your order")).to_be_visible()


def test_alice_ticks_the_box_at_the_checkout(
    shop: Shop, hosts: dict[str, Host], alices: Page, number: str
) -> None:
    """The shop's server calls the API, and the widget nothing."""
    asked: list[str] = []
    alices.on("request", lambda request: asked.append(request.url))
    alices.goto(f"{hosts['checkout'].url}/checkout")
    fill_in(alices, number)
    orders(alices)
    expect(alices.get_by_text("Look at your phone")).to_be_visible()
    assert [url for url in asked if url.startswith(shop.url)] == [f"{shop.url}/w/{SITE}.js"]
    confirms(shop, number, Source.API, f"{hosts['checkout'].url}/checkout")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_a_number_without_a_tick_is_an_order_and_no_more(
    shop: Shop, hosts: dict[str, Host], browser: Browser, number: str, scripts: bool
) -> None:
    with closing(visit(browser, scripts=scripts)) as context:
        page = context.new_page()
        page.goto(f"{hosts['checkout'].url}/checkout")
        fill_in(page, number, tick=False)
        orders(page)
        assert page.get_by_text("phone").count() == 0
    with shop.app.app_context():
        assert people.by_number(number) is None
        db.session.rollback()


def test_the_checkout_works_without_scripts(
    shop: Shop, hosts: dict[str, Host], browser: Browser, number: str
) -> None:
    with closing(visit(browser, scripts=False)) as context:
        page = context.new_page()
        page.goto(f"{hosts['checkout'].url}/checkout")
        fill_in(page, number)
        orders(page)
    confirms(shop, number, Source.API, f"{hosts['checkout'].url}/checkout")


def test_a_wrong_number_does_not_stop_the_order(
    shop: Shop, hosts: dict[str, Host], alices: Page
) -> None:
    alices.goto(f"{hosts['checkout'].url}/checkout")
    fill_in(alices, "555 0143")
    orders(alices)
    expect(alices.get_by_text("We could not read the number")).to_be_visible()
    alices.get_by_role("link", name="Enter it again").click()
    expect(alices.get_by_role("textbox", name="Mobile number")).to_be_visible()


def test_nor_does_a_page_with_the_words_of_yesterday(
    shop: Shop, hosts: dict[str, Host], browser: Browser, number: str
) -> None:
    with closing(visit(browser, scripts=False)) as context:
        page = context.new_page()
        page.route(
            "**/checkout",
            lambda route: (
                route.continue_()
                if route.request.method == "GET"
                else route.continue_(
                    post_data=f"sms_number=%2B{number[1:]}&sms_consent=yes&sms_text_version=old"
                )
            ),
        )
        page.goto(f"{hosts['checkout'].url}/checkout")
        fill_in(page, number)
        orders(page)
        expect(page.get_by_text("What you agree to with our texts has changed")).to_be_visible()
    assert shop.texts(number) == []


def test_nor_does_a_prefcenter_that_is_away(browser: Browser, tmp_path: Path, number: str) -> None:
    away = Host(MAKERS["static"](tmp_path))
    away.close()  # nobody listens on this port any more
    host = Host(MAKERS["checkout"](example_hosts.copy("checkout", tmp_path, away.url)))
    (tmp_path / "key").write_text("pck_x", encoding="utf-8")
    with closing(host), closing(visit(browser)) as context, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFCENTER_KEY_FILE", str(tmp_path / "key"))
        page = context.new_page()
        page.goto(f"{host.url}/checkout")
        fill_in(page, number)
        orders(page)
        expect(page.get_by_text("We could not sign you up for texts just now")).to_be_visible()


def _say_rubbish(server: socket.socket) -> None:
    """Hear one call out, and answer in no HTTP."""
    peer, _ = server.accept()
    with peer:
        heard = b""
        while not heard.endswith(b"}"):
            heard += peer.recv(65_536)
        peer.sendall(b"rubbish\r\n\r\n")


@pytest.mark.parametrize("trouble", ["no key", "no file named", "no ASCII", "no HTTP"])
def test_nor_does_an_answer_that_is_none_or_a_key_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    key = tmp_path / "key"
    if trouble == "no file named":
        monkeypatch.delenv("PREFCENTER_KEY_FILE", raising=False)
    else:
        monkeypatch.setenv("PREFCENTER_KEY_FILE", str(key))
    if trouble == "no ASCII":
        key.write_bytes(b"pck_\xff")
    box = {
        "sms_number": "+12025550143",
        "sms_consent": "yes",
        "sms_text_version": "d308ae4578466a1d",
    }
    with socket.create_server(("127.0.0.1", 0)) as server:
        if trouble == "no HTTP":
            key.write_text("pck_x", encoding="utf-8")
            threading.Thread(target=_say_rubbish, args=(server,), daemon=True).start()
        prefs = f"http://127.0.0.1:{server.getsockname()[1]}"
        checkout = MAKERS["checkout"](example_hosts.copy("checkout", tmp_path, prefs))
        page = checkout.test_client().post("/checkout", data=box)
    assert page.status_code == 200
    assert "Thank you for your order" in page.text
    assert "We could not sign you up for texts just now" in page.text
