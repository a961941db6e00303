"""Sites: whose pages may carry the form, under which key, with which words (SEC-21)."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from prefcenter.consent import catalog, offering, signup, site_values, sites
from prefcenter.database import db, writing
from prefcenter.models import Category, Site
from tests.cast import ALICE, BOB, Town, rows
from tests.conftest import Clock
from tests.forms import admit, fill

SHOP = "https://shop.example.com"


def shop(now: Clock, slug: str = "shop", **more: object) -> Site:
    with writing():
        site = sites.add(
            slug,
            "The shop",
            **{"origins": [SHOP], "now": now.now(), **more},  # type: ignore[arg-type]  # mixed kinds
        )
        db.session.commit()
    return site


def test_a_site_is_found_by_its_key_alone(app: Flask, now: Clock) -> None:
    shop(now, about={"en": "new books"}, categories=["offers"], color="#1F5C48")
    place = sites.find("shop", now=now.now())
    assert place is not None
    assert (place.slug, place.key, place.origins) == ("shop", "shop", (SHOP,))
    assert (place.about, place.categories) == ({"en": "new books"}, ("offers",))
    assert (place.language, place.country, place.color) == ("en", "US", "#1f5c48")
    assert sites.find("other", now=now.now()) is None
    assert sites.find("", now=now.now()) is None


def test_a_disabled_site_is_unknown_and_may_cause_nothing(app: Flask, now: Clock) -> None:
    shop(now)
    with writing():
        sites.disable(sites.by_slug("shop"), now=now.now())
        db.session.commit()
    assert sites.find("shop", now=now.now()) is None
    assert sites.budget("shop") == 0
    with writing():
        sites.enable(sites.by_slug("shop"))
        db.session.commit()
    assert sites.find("shop", now=now.now()) is not None
    assert sites.budget("shop") > 0


def test_what_waits_for_a_disabled_site_is_taken_back(town: Town, now: Clock) -> None:
    """After an attack that may be a whole queue."""
    shop(now)
    shop(now, "other")
    for number, site in ((ALICE, "shop"), (BOB, "other")):
        admit(fill(number, site=site), now.now())
    with writing():
        sites.disable(sites.by_slug("shop"), now=now.now())
        db.session.commit()
    assert [parcel.to for parcel in town.work()] == [BOB]


def test_a_reminder_that_waits_for_a_disabled_site_is_taken_back(town: Town, now: Clock) -> None:
    shop(now)
    town.alice()
    town.work()
    now.forward(minutes=11)
    admit(fill(ALICE, site="shop"), now.now())
    with writing():
        sites.disable(sites.by_slug("shop"), now=now.now())
        db.session.commit()
    assert town.work() == []


def test_what_another_site_asked_since_is_not_taken_back(town: Town, now: Clock) -> None:
    shop(now)
    shop(now, "other")
    admit(fill(BOB, site="shop"), now.now())
    now.forward(minutes=11)
    admit(fill(BOB, site="other"), now.now())
    with writing():
        sites.disable(sites.by_slug("shop"), now=now.now())
        db.session.commit()
    assert [parcel.to for parcel in town.work()] == [BOB]


def test_a_form_that_is_looked_at_while_its_site_is_disabled_sends_nothing(
    app: Flask, town: Town, now: Clock
) -> None:
    shop(now)
    with writing():
        signup.receive(fill(ALICE, site="shop"), now=now.now())
        db.session.commit()
    [form] = signup.waiting(1)

    def disable() -> None:
        with app.app_context(), writing():
            sites.disable(sites.by_slug("shop"), now=now.now())
            db.session.commit()

    owner = threading.Thread(target=disable)
    with writing():
        signup.admit(form, now=now.now())
        owner.start()
        owner.join(0.5)
        db.session.commit()
    owner.join(10)
    assert sites.budget("shop") == 0
    assert town.work() == []


def test_the_name_of_our_own_form_is_no_sites(app: Flask, now: Clock) -> None:
    own = app.extensions["prefcenter"].site
    with pytest.raises(ValueError, match=r"own address|lower-case"):
        shop(now, own)


def test_a_former_key_works_for_its_time_and_no_longer(app: Flask, now: Clock) -> None:
    shop(now)
    with writing():
        fresh = sites.rotate(sites.by_slug("shop"), keep=timedelta(days=30), now=now.now())
        db.session.commit()
    assert fresh != "shop"
    for key in ("shop", fresh):
        place = sites.find(key, now=now.now())
        assert place is not None
        assert (place.slug, place.key) == ("shop", fresh)
    now.forward(days=30)
    assert sites.find("shop", now=now.now()) is None
    assert sites.find(fresh, now=now.now()) is not None


def test_a_key_that_any_site_had_is_never_given_to_another(app: Flask, now: Clock) -> None:
    """An old page out there must not sign people up for somebody else."""
    shop(now)
    with writing():
        sites.rotate(sites.by_slug("shop"), keep=timedelta(), now=now.now())
        db.session.commit()
    with pytest.raises(ValueError, match="There is a site shop already"):
        shop(now)


def test_the_own_budget_only_lowers(app: Flask, now: Clock) -> None:
    shop(now, daily_budget=7)
    assert sites.budget("shop") == 7
    assert sites.budget("prefs.test") == 5000
    shop(now, "rich", daily_budget=10**6)
    assert sites.budget("rich") == 5000


def test_what_a_form_asks_for_that_names_nothing(app: Flask, now: Clock) -> None:
    """RULE-10: nothing that needs a statement of age, nothing private, nothing retired."""
    shop(now)
    shop(now, "wine", categories=["events"])
    with writing():
        gated = sa.update(Category).where(Category.slug == "offers").values(age_gate=21)
        db.session.execute(gated)
        db.session.commit()
    for key, expected in (("shop", {"offers"}), ("wine", set())):
        place = sites.find(key, now=now.now())
        assert place is not None
        everything = {kind.slug for kind in db.session.scalars(sa.select(Category))}
        wanted = set(sites.offered(place))
        assert wanted == ({"events"} if key == "wine" else everything - expected)


ORIGINS = [
    ("https://shop.example.com", "https://shop.example.com"),
    ("https://SHOP.example.com:443/", "https://shop.example.com"),
    ("https://shop.example.com:8443", "https://shop.example.com:8443"),
    ("http://localhost:5000", "http://localhost:5000"),
    ("http://127.0.0.1", "http://127.0.0.1"),
    ("https://bücher.example", "https://xn--bcher-kva.example"),
    ("http://[::1]:80", "http://[::1]"),
]
WRONG = [
    *("*", "https://*", "https://*.example.com", "shop.example.com", "null", "", "https://"),
    *("https://shop.example.com/path", "https://shop.example.com?x", "https://a@shop.example"),
    *("ftp://shop.example", "javascript:alert(1)", "https://shop.example:99999", "https://a b"),
    *("http://shop.example.com", "https://shop.example#x", "data:text/html,x", "https://a;b"),
    "https://shop.example.com https://evil.example",
]


@pytest.mark.parametrize(("typed", "said"), ORIGINS)
def test_an_origin_is_kept_as_browsers_say_it(typed: str, said: str) -> None:
    assert site_values.origin(typed) == said


@pytest.mark.parametrize("typed", WRONG)
def test_anything_else_is_refused_with_a_sentence(typed: str) -> None:
    with pytest.raises(ValueError, match=r"is no origin|is not safe"):
        site_values.origin(typed)


@given(st.text(max_size=60))
def test_any_text_is_an_origin_or_refused(text: str) -> None:
    """What is kept can stand in a header and in a policy, and is its own origin."""
    try:
        said = site_values.origin(text)
    except ValueError:
        return
    assert said.isascii()
    assert not set(said) & set(" ;,'\"*<>\r\n")
    assert site_values.origin(said) == said


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"origins": []}, "at least one origin"),
        ({"about": {"de": "Bücher"}}, "no texts in 'de'"),
        ({"about": {"en": "<b>"}}, "without < and >"),
        ({"about": {"en": "caf\udce9"}}, "without < and >"),
        ({"about": {"en": "left \u202eright"}}, "without < and >"),
        ({"categories": ["nothing"]}, "no public category nothing"),
        ({"language": "xx"}, "language is one of"),
        ({"country": "FR"}, "COUNTRIES names"),
        ({"color": "red"}, "no colour"),
        ({"daily_budget": -1}, "number of texts"),
        ({"logo": (b"x" * 30_000, "image/png")}, "at most 20 KB"),
        ({"logo": (b"x", "text/html")}, "SVG or PNG"),
    ],
)
def test_wrong_values_are_refused_and_nothing_is_kept(
    app: Flask, now: Clock, values: dict[str, object], words: str
) -> None:
    before = rows()
    with pytest.raises(ValueError, match=words):
        shop(now, **values)
    assert rows() == before


def test_a_site_cannot_be_left_with_what_is_retired_alone(app: Flask, now: Clock) -> None:
    """As a category that a site still needs cannot be retired: nobody who signs up gets a text."""
    shop(now)
    with writing():
        events = catalog.find("events")
        assert events is not None
        offering.retire(events, now=now.now())
        db.session.commit()
    with writing(), pytest.raises(ValueError, match="on offer"):
        sites.change(sites.by_slug("shop"), categories=["events"])
    with writing():
        sites.change(sites.by_slug("shop"), categories=["events", "offers"])
        db.session.commit()
    assert sites.by_slug("shop").categories == ["events", "offers"]
