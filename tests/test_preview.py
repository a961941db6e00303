"""/dev/widget: the widget in pages of others, for whoever builds them in here."""

import html
import re
import shlex

import pytest
from flask import Flask

from prefcenter import clock, demo_data
from prefcenter.consent import sites
from prefcenter.database import db, writing
from prefcenter.web import assets, preview, snippets
from tests.cast import rows
from tests.conftest import Browser
from tests.test_every_route import Page

HERE = "http://prefs.test"
FRAME = re.compile(r'<iframe src="([^"]+)"')
NUMBERS = range(1, len(preview.HOSTS) + 1)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def demo(app: Flask) -> None:
    with writing():
        assert demo_data.add_site(now=clock.now())
        db.session.commit()


def add(key: str, *origins: str) -> None:
    with writing():
        sites.add(key, key, origins=origins or ["https://shop.example"], now=clock.now())
        db.session.commit()


def frames(client: Browser, query: str = "") -> list[str]:
    page = client.get(f"/dev/widget{query}")
    assert page.status_code == 200
    return [html.unescape(src) for src in FRAME.findall(page.text)]


def test_there_are_five_hosts_with_the_demos_widget(demo: None, client: Browser) -> None:
    add("blog")
    before = rows()
    addresses = frames(client)
    assert addresses == [f"/dev/widget/{number}?site=demo" for number in NUMBERS]
    assert len(addresses) == 5
    for address in addresses:
        page = client.get(address)
        assert (page.status_code, f'src="{HERE}/w/demo.js"' in page.text) == (200, True)
    assert rows() == before, "a GET changes nothing"


def test_another_site_way_and_language_are_chosen_by_links(demo: None, client: Browser) -> None:
    add("blog")
    page = client.get("/dev/widget?site=blog&kind=frame&lang=es")
    for choice in ("site=demo&kind=frame&lang=es", "site=blog&kind=form&lang=es"):
        assert f'href="/dev/widget?{html.escape(choice)}"' in page.text
    [address, *_others] = frames(client, "?site=blog&kind=frame&lang=es")
    assert f'src="{HERE}/w/blog?lang=es"' in client.get(address).text


def test_without_a_demo_the_first_site_is_shown(app: Flask, client: Browser) -> None:
    add("shop")
    assert frames(client)[0] == "/dev/widget/1?site=shop"


def test_without_a_site_the_page_says_what_to_type(app: Flask, client: Browser) -> None:
    page = client.get("/dev/widget")
    assert page.status_code == 200 and "No site yet" in page.text
    command = html.unescape(re.findall(r"<code>(.*?)</code>", page.text, re.DOTALL)[0])
    words = ["prefcenter", "site", "add", "shop", "--name", "Shop", "--origin", HERE]
    assert shlex.split(command.replace("\\\n", "")) == words
    assert client.get("/dev/widget/1").status_code == 404


def test_an_unknown_or_disabled_site_is_404_with_the_others(demo: None, client: Browser) -> None:
    add("blog")
    with writing():
        sites.disable(sites.by_slug("blog"), now=clock.now())
        db.session.commit()
    for key in ("blog", "nobody", "<script>"):
        page = client.get("/dev/widget", query_string={"site": key})
        assert page.status_code == 404
        assert f"no enabled site with the key {html.escape(key)}" in page.text
        assert 'href="/dev/widget?site=demo"' in page.text
        assert client.get("/dev/widget/1", query_string={"site": key}).status_code == 404
    assert client.get("/dev/widget/6?site=demo").status_code == 404
    assert client.get("/dev/widget/0?site=demo").status_code == 404


# --- what the pages allow


@on_sqlite
@pytest.mark.parametrize("kind", preview.KINDS)
@pytest.mark.parametrize("number", NUMBERS)
def test_a_host_allows_what_the_snippet_needs_and_no_more(
    demo: None, client: Browser, app: Flask, number: int, kind: str
) -> None:
    """SEC-4, SEC-27; the policy that is documented is the one under which it works here."""
    answer = client.get(f"/dev/widget/{number}?site=demo&kind={kind}", base_url=HERE)
    page = Page(answer.text)
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
    )
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style
    wanted = {
        "default-src": "'none'",
        "style-src": assets.source_of(style[1]),
        "img-src": "data:",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": HERE,
    } | dict.fromkeys(snippets.NEEDS[kind], HERE)
    assert policy == wanted
    for _tag, found in page.tags:
        assert "style" not in found and not [name for name in found if name.startswith("on")]
    assert {one.get("src") for one in page.all("script")} <= {f"{HERE}/w/demo.js"}
    assert (len(page.all("h1")), len(page.all("main")), len(page.all("title"))) == (1, 1, 1)


@on_sqlite
def test_the_list_may_frame_its_hosts_and_nobody_may_frame_it(demo: None, client: Browser) -> None:
    policy = client.get("/dev/widget").headers["Content-Security-Policy"]
    assert "frame-src 'self' ;" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@on_sqlite
@pytest.mark.parametrize(("number", "attributes"), [(1, 'theme="light"'), (4, 'heading="3"')])
def test_an_owner_writes_attributes_into_the_element(
    demo: None, client: Browser, number: int, attributes: str
) -> None:
    page = client.get(f"/dev/widget/{number}?site=demo").text
    assert f'<prefcenter-optin {attributes} lang="en">' in page


@on_sqlite
@pytest.mark.settings(PUBLIC_URL="http://127.0.0.1:8000")
def test_on_one_machine_the_hosts_are_on_another_origin(demo: None, client: Browser) -> None:
    """So that what goes wrong between two websites goes wrong here."""
    [address, *_others] = frames(client)
    assert address == "http://localhost:8000/dev/widget/1?site=demo"
    policy = client.get("/dev/widget").headers["Content-Security-Policy"]
    assert "frame-src 'self' http://localhost:8000;" in policy
    there, path = address[:21], address[21:]
    host = client.get(path, base_url=there)
    assert 'src="http://127.0.0.1:8000/w/demo.js"' in host.text
    assert "script-src http://127.0.0.1:8000;" in host.headers["Content-Security-Policy"]
    assert host.headers["Content-Security-Policy"].endswith(
        "frame-ancestors http://127.0.0.1:8000 http://localhost:8000"
    )
    add("blog", "https://blog.example")
    assert frames(client, "?site=blog")[0] == "/dev/widget/1?site=blog"


REAL = {"SMS_BACKEND": "vonage", "VONAGE_PRIVATE_KEY": "a key that signs nothing here"}


@on_sqlite
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
def test_where_texts_really_leave_there_is_no_such_page(
    demo: None, app: Flask, client: Browser, env: str
) -> None:
    assert app.extensions["prefcenter"].env == env
    for path in ("", "/1?site=demo"):
        assert client.get(f"/dev/widget{path}", headers={"Host": "prefs.test"}).status_code == 404
