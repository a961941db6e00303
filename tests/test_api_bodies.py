"""What a body of `POST /api/v1/opt-ins` may not hold: a 4xx that names the field, and no change."""

import json
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cast import Town, rows
from tests.watching import listening
from tests.web_shop import (
    DAVE,
    LEFT_OUT,
    OPT_INS,
    PAGE,
    PROBLEM,
    Changes,
    Shop,
    on_sqlite,
    open_shop,
    refused,
    tells_a_number,
)


@pytest.fixture
def shop(town: Town) -> Shop:
    return open_shop(town)


# --- what is refused, and where


@pytest.mark.parametrize(
    ("pointer", "changes"),
    [
        ("#/site", {"site": LEFT_OUT}),
        ("#/number", {"number": LEFT_OUT}),
        ("#/consent", {"consent": LEFT_OUT}),
        ("#/text_version", {"text_version": LEFT_OUT}),
        ("#/site", {"site": None}),
        ("#/site", {"site": ["web-shop"]}),
        ("#/site", {"site": "x" * 81}),
        ("#/number", {"number": 12025550146}),
        ("#/number", {"number": None}),
        ("#/number", {"number": "2" * 201}),
        ("#/consent", {"consent": False}),
        ("#/consent", {"consent": "true"}),
        ("#/consent", {"consent": 1}),
        ("#/consent", {"consent": 1.0}),
        ("#/consent", {"consent": None}),
        ("#/text_version", {"text_version": 1}),
        ("#/page_url", {"page_url": "/checkout"}),
        ("#/page_url", {"page_url": "javascript:alert(1)"}),
        ("#/page_url", {"page_url": "https://"}),
        ("#/page_url", {"page_url": "ftp://shop.example/checkout"}),
        ("#/page_url", {"page_url": "https://[::1"}),
        ("#/page_url", {"page_url": "https://dave:202555@shop.example/"}),
        ("#/page_url", {"page_url": "https://shop.example/" + "x" * 2000}),
        ("#/page_url", {"page_url": "https://shop.example\\@evil.example/"}),
        ("#/page_url", {"page_url": None}),
        ("#/ip", {"ip": ""}),
        ("#/ip", {"ip": "198.51.100"}),
        ("#/ip", {"ip": "198.51.100.7, 203.0.113.1"}),
        ("#/ip", {"ip": "fe80::1%eth0"}),
        ("#/ip", {"ip": 3325256711}),
        ("#/user_agent", {"user_agent": "x" * 1001}),
        ("#/user_agent", {"user_agent": {}}),
        ("#/language", {"language": "tlh"}),
        ("#/language", {"language": ""}),
        ("#/categories", {"categories": "offers"}),
        ("#/categories", {"categories": []}),
        ("#/categories", {"categories": LEFT_OUT}),  # though some were shown
        ("#/categories", {"categories": ["offers"] * 101}),
        ("#/categories/1", {"categories": ["offers", "nothing"]}),
        ("#/categories/1", {"categories": ["offers", 7]}),
        ("#/categories/0", {"categories": ["new-books"]}),  # not among those shown
        ("#/shown/1", {"shown": ["offers", "nothing"]}),
        ("#/source", {"source": "x" * 41}),
        ("#/source", {"source": "the checkout"}),
        ("#/source", {"source": "<b>"}),
        ("#/button", {"button": True}),
        ("#", {"Number": "+12025550146"}),
        ("#", {"+12025550146": True}),
        ("#/numbers", {"numbers": ["+12025550146"]}),
    ],
)
@on_sqlite
def test_a_field_that_cannot_be_is_named(shop: Shop, pointer: str, changes: Changes) -> None:
    before = rows()
    refused(shop.hand_in(**changes), 422, pointer)
    assert rows() == before


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("", "missing"),
        ("202 555", "short"),
        ("+33 6 12 34 56 78", "country"),
        ("+1 900 555 0146", "unusable"),
        ("202 555 0146 ext 5", "unusable"),
        ("202 555 0146 / 202 555 0147", "unusable"),
    ],
)
@on_sqlite
def test_a_number_that_we_cannot_text_says_why(shop: Shop, number: str, reason: str) -> None:
    """SEC-29, and SEC-7: without repeating it."""
    before = rows()
    with listening() as heard:
        answer = shop.hand_in(number)
    [error] = refused(answer, 422, "#/number")["errors"]
    assert error["reason"] == reason
    assert not tells_a_number(heard.getvalue())
    assert rows() == before


# Each changes one thing in a body that would be taken, or is a body of its own.
ODD: dict[str, tuple[str, tuple[str, str] | bytes]] = {
    "nothing": ("#", b" "),
    "two objects": ("#", b"{}{}"),
    "a list": ("#", b"[]"),
    "null": ("#", b"null"),
    "a string": ("#", b'"+12025550146"'),
    "a form": ("#", b"number=%2B12025550146&consent=yes"),
    "half an object": ("#", b'{"number": "+12025550146"'),
    "a mark in front": ("#", "\ufeff{}".encode()),
    "UTF-16": ("#", '{"number": "+12025550146"}'.encode("utf-16")),
    "no UTF-8": ("#", b'{"number": "\xff"}'),
    "30,000 lists": ("#", b"[" * 30_000),
    "10,000 objects": ("#", b'{"a":' * 10_000),
    "40 levels": ("#", ('"checkout"', "[" * 40 + "]" * 40)),
    "5,000 digits": ("#", ('"checkout"', "9" * 5000)),
    "NaN": ("#/source", ('"checkout"', "NaN")),
    "infinity": ("#/source", ('"checkout"', "-Infinity")),
    "too large a float": ("#/source", ('"checkout"', "1e999")),
    "NUL": ("#/source", ('"checkout"', r'"\u0000"')),
    "half a character": ("#/source", ('"checkout"', r'"\ud83d"')),
    "a new line": ("#/number", ("+1202", r"+1202\n")),
    "a terminal's escape": ("#/user_agent", ("Firefox", r"\u001b[2K")),
    "a bell in a list": ("#/categories/0", ('["offers"]', r'["\u0007"]')),
    "consent twice": ("#/consent", ("{", '{"consent": true, ')),
    "number twice": ("#/number", ("{", '{"number": "+1 202", ')),
    "a number's own name twice": ("#", ("{", '{"5550146": 1, "5550146": 2, ')),
    "half a character as name": ("#", ("{", r'{"\ud83d": 1, ')),
    "twice inside": ("#/source/a", ('"checkout"', '{"a": 1, "a": 1}')),
}


@pytest.mark.parametrize(("pointer", "change"), ODD.values(), ids=ODD)
@on_sqlite
def test_json_that_can_be_read_two_ways_is_400(
    shop: Shop, pointer: str, change: tuple[str, str] | bytes
) -> None:
    """SEC-5."""
    before, raw = rows(), change
    if isinstance(raw, tuple):
        raw = json.dumps(shop.body()).replace(*raw, 1).encode()
    refused(shop.post(raw), 400, pointer)
    assert rows() == before


@on_sqlite
def test_sizes_kinds_and_methods_are_refused_as_problems(town: Town, shop: Shop) -> None:
    """SEC-5: 413, 415, 411, 405 and 404, all before anything happens."""
    before, body = rows(), json.dumps(shop.body())
    refused(shop.post(body + " " * 65_536), 413)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", None):
        refused(shop.post(body, kind=kind), 415)
    key = {"Authorization": f"Bearer {shop.secret}"}
    packed = key | {"Content-Encoding": "gzip"}
    kind = "application/json"
    refused(town.browser.post(OPT_INS, data=body, headers=packed, content_type=kind), 415)
    answer = town.browser.post(
        OPT_INS,
        input_stream=BytesIO(body.encode()),
        headers=key | {"Transfer-Encoding": "chunked"},
        content_type=kind,
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )
    refused(answer, 411)
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = town.browser.open(OPT_INS, method=method, headers=key)
        refused(answer, 405)
        assert "POST" in answer.headers["Allow"]
    for path in ("/api/v1/opt-in", "/api/v2/opt-ins", "/api/", f"{OPT_INS}/", f"{OPT_INS}/1"):
        refused(town.browser.post(path, data=body, headers=key, content_type=kind), 404)
    assert rows() == before


@on_sqlite
def test_json_with_a_charset_is_json(shop: Shop) -> None:
    answer = shop.post(json.dumps(shop.body()), kind="application/json; charset=utf-8")
    assert answer.status_code == 202


@on_sqlite
def test_no_page_of_a_browser_may_call_it(town: Town, shop: Shop) -> None:
    """SEC-39: no CORS, so a key in a page's script is of no use."""
    key = {"Authorization": f"Bearer {shop.secret}", "Origin": "https://shop.example"}
    asked = key | {"Access-Control-Request-Method": "POST"}
    before = rows()
    for headers in (key, asked, {"Origin": "https://shop.example"}):
        answer = town.browser.options(OPT_INS, headers=headers)
        assert not [
            name
            for name, _value in answer.headers.to_wsgi_list()
            if name.startswith("Access-Control")
        ]
    assert rows() == before
    answer = town.browser.post(OPT_INS, json=shop.body(), headers=key)
    assert answer.status_code == 202
    assert not [
        name for name, _value in answer.headers.to_wsgi_list() if name.startswith("Access-Control")
    ]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


# --- anything at all

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["web-shop", DAVE, "offers", "::1", PAGE]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | st.just("number"), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = [
    "site", "number", "consent", "text_version", "page_url", "ip", "user_agent", "language",
    "categories", "shown", "source", "button", "more",
]  # fmt: skip


@on_sqlite
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=3))
def test_no_body_at_all_is_an_error_of_ours(shop: Shop, changes: Changes) -> None:
    """SEC-5, INV-11."""
    answer = shop.post(json.dumps(shop.body() | changes))
    assert answer.status_code in (202, 400, 404, 409, 422), answer.text
    if answer.status_code != 202:
        assert answer.mimetype == PROBLEM
        assert not tells_a_number(answer.text)


@on_sqlite
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.binary(min_size=1, max_size=80))
def test_no_bytes_at_all_are_an_error_of_ours(shop: Shop, raw: bytes) -> None:
    assert shop.post(raw).status_code in (400, 422)
