"""JOIN and a site's key, as its poster prints it: the request names the site (RULE-11)."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from prefcenter.consent import inbound, sites
from prefcenter.database import db, writing
from prefcenter.models import Ask, ConsentEvent, EventKind, Evidence, Source, Status, TextKind
from prefcenter.sms.encoding import measure
from tests import phones
from tests.cast import ALICE, BOB, CAROL, Town
from tests.conftest import Clock

SHOP, TIENDA = "web-shop", "tienda"


@pytest.fixture(autouse=True)
def shop(town: Town, now: Clock) -> None:
    """Bob's web shop sells books, and has a Spanish sister."""
    with writing():
        origins = ["https://shop.example"]
        books = ["new-books", "events"]
        sites.add(SHOP, "Web shop", origins=origins, categories=books, now=now.now())
        sites.add(TIENDA, "Tienda", origins=origins, language="es", now=now.now())
        db.session.commit()


def request_of(number: str = ALICE) -> ConsentEvent:
    db.session.rollback()
    query = sa.select(ConsentEvent).where(ConsentEvent.kind == EventKind.REQUESTED)
    found = list(db.session.scalars(query.order_by(ConsentEvent.id.desc())))
    assert found, f"{number} asked for nothing"
    return found[0]


@pytest.mark.parametrize(
    "text",
    [
        *("JOIN WEB-SHOP", "join web-shop", "Join Web Shop.", "  JOIN   web - shop ", "JOIN webshop"),
        *("join: WEB–SHOP!", "“JOIN WEB-SHOP”", "ＪＯＩＮ web-shop", "JOIN WEB-SHOP 🙂", "JOIN\nWEB-SHOP"),
        *("unirme web-shop", "Rejoindre WEB-SHOP"),
    ],
)  # fmt: skip
def test_the_request_names_the_site_as_every_other_door_does(town: Town, text: str) -> None:
    phones.say(town, text)
    event = request_of()
    assert (event.source, event.source_detail) == (Source.SMS, SHOP)
    assert json.loads(event.changes)["requested"] == ["events", "new-books"]
    assert json.loads(event.changes)["word"] == "join"
    body = db.session.scalars(sa.select(Evidence.body).where(Evidence.event_id == event.id)).one()
    assert json.loads(body)["answer"]["text"] == text, "the text itself is the proof"
    assert town.person(ALICE).status is Status.PENDING


def test_alice_confirms_what_the_poster_named_on_a_page_that_names_the_shop(town: Town) -> None:
    phones.say(town, inbound.word_of(SHOP))
    town.work()
    assert town.kinds(ALICE) == [TextKind.CONFIRM_REQUEST]
    link = town.last_link(ALICE)
    page = town.browser.get(link).text
    assert "on Web shop today" in page
    assert "New books" in page and "Sales and offers" not in page
    town.browser.post(link)
    assert town.events(ALICE) == [EventKind.REQUESTED, EventKind.CONFIRMED]


def test_plain_join_names_no_site_and_asks_for_all(town: Town) -> None:
    phones.say(town, "JOIN")
    event = request_of()
    assert event.source_detail == "JOIN"
    assert json.loads(event.changes)["requested"] == ["events", "in-stock", "new-books", "offers"]


@pytest.mark.parametrize(
    "text", ["JOIN me for lunch", "join the web-shop", "JOIN nowhere", "WEB-SHOP", "JOIN" + "x" * 40,
             "JOIN " + "x" * 3000, "join web shop now", "JOIN web-shop' OR '1'='1"],
)  # fmt: skip
def test_any_other_sentence_is_kept_and_asks_for_nothing(town: Town, text: str) -> None:
    """Consent is only the word that was asked for."""
    phones.say(town, text)
    town.work()
    assert [row.outcome for row in phones.heard()] == ["kept"]
    assert town.network.texts == []


@pytest.mark.parametrize(
    ("text", "language"),
    [("JOIN TIENDA", "es"), ("unirme tienda", "es"), ("UNIRME WEB-SHOP", "es"),
     ("JOIN WEB-SHOP", "en"), ("rejoindre tienda", "en")],
)  # fmt: skip
def test_who_joins_by_a_spanish_poster_reads_spanish(town: Town, text: str, language: str) -> None:
    """JOIN stands on posters in all languages, so there the site's counts."""
    phones.say(town, text)
    assert town.person(ALICE).language == language
    assert request_of().language == language


def test_a_disabled_sites_poster_counts_as_plain_join_for_no_more_than_it_named(
    town: Town, now: Clock
) -> None:
    """RULE-6: the paper that still hangs named two kinds of text."""
    with writing():
        sites.disable(sites.by_slug(SHOP), now=now.now())
        db.session.commit()
    phones.say(town, "JOIN WEB-SHOP")
    event = request_of()
    assert event.source_detail == "JOIN WEB SHOP"
    assert json.loads(event.changes)["requested"] == ["events", "new-books"]
    town.work()
    assert "on prefs.test today" in town.browser.get(town.last_link(ALICE)).text


def test_a_new_key_of_the_site_changes_no_poster(town: Town, now: Clock) -> None:
    with writing():
        sites.rotate(sites.by_slug(SHOP), keep=timedelta(0), now=now.now())
        db.session.commit()
    phones.say(town, "JOIN WEB-SHOP")
    assert request_of().source_detail == SHOP


def test_a_subscriber_gets_what_the_site_names(town: Town, now: Clock) -> None:
    town.alice()
    now.forward(minutes=11)
    phones.say(town, "JOIN WEB-SHOP")
    event = phones.last_event()
    assert (event.kind, event.source_detail) == (EventKind.CHANGED, SHOP)
    assert json.loads(event.changes)["added"] == ["events", "new-books"]
    town.work()
    assert town.kinds(ALICE)[-1] is TextKind.PREFERENCES


def test_a_subscriber_who_left_some_out_gets_nothing_by_a_site_that_names_none(
    town: Town, now: Clock
) -> None:
    """The page after each form names the word: it must not undo what Alice chose."""
    town.alice()
    now.forward(minutes=11)
    phones.say(town, "JOIN TIENDA")
    assert phones.last_event().kind is EventKind.NOTED
    town.work()
    assert town.kinds(ALICE)[-1] is TextKind.ALREADY_SUBSCRIBED
    db.session.rollback()


def test_carol_who_stopped_may_come_back_by_the_poster_and_must_confirm(
    town: Town, now: Clock
) -> None:
    town.carol()
    now.forward(hours=25)
    phones.say(town, "JOIN WEB-SHOP", CAROL)
    assert request_of().source_detail == SHOP
    assert town.person(CAROL).status is Status.PENDING


@pytest.mark.settings(SITE_TEXTS_PER_HOUR="1", BREAKER_SENDS="50")
def test_a_poster_uses_up_nothing_of_the_sites_forms(town: Town) -> None:
    """Whoever texts holds the phone; pumping is what strangers do with forms."""
    with writing():
        sites.change(sites.by_slug(SHOP), daily_budget=0)
        db.session.commit()
    phones.say(town, "JOIN WEB-SHOP")
    town.work()
    assert town.kinds(ALICE) == [TextKind.CONFIRM_REQUEST]
    assert db.session.scalars(sa.select(Ask)).all() == []


@pytest.mark.settings(KEYWORDS="JOIN TIENDA=offers")
def test_an_owners_own_keyword_stays_what_it_is(town: Town) -> None:
    phones.say(town, "JOIN TIENDA", BOB)
    event = request_of(BOB)
    assert event.source_detail == "JOIN TIENDA"
    assert json.loads(event.changes)["requested"] == ["offers"]
    assert inbound.word_of(TIENDA) == "JOIN"


@pytest.mark.parametrize(
    "slug", ["stop", "web-stop", "fin", "end-of-season", "no-more-texts", "cancel", "baja"]
)
def test_a_stop_word_in_a_key_stops_and_is_never_printed(town: Town, now: Clock, slug: str) -> None:
    """RULE-17: no setting makes a stop word mean something else."""
    with writing():
        sites.add(slug, "Shop", origins=["https://shop.example"], now=now.now())
        db.session.commit()
    assert inbound.word_of(slug) == "JOIN"
    phones.say(town, f"JOIN {slug}")
    db.session.rollback()
    query = sa.select(ConsentEvent.id).where(ConsentEvent.kind == EventKind.REQUESTED)
    assert db.session.scalars(query).all() == []


def test_two_sites_that_a_text_cannot_tell_apart_are_refused(town: Town, now: Clock) -> None:
    with writing(), pytest.raises(ValueError, match="could tell it from web-shop"):
        sites.add("webshop", "Shop", origins=["https://shop.example"], now=now.now())


def test_every_word_is_one_that_any_phone_can_send(town: Town) -> None:
    for slug in ("a", "a" * 30, "web-shop", "z0-9"):
        word = inbound.word_of(slug)
        assert word == f"JOIN {slug.upper()}"
        assert measure(word).encoding == "GSM-7"
