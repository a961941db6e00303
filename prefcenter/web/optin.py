"""A sign-up form, read: what is missing, and what the rule behind all forms gets of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flask import request
from flask_babel import gettext as _

from prefcenter import config, phone
from prefcenter.consent import signup, sites
from prefcenter.consent.sites import Place
from prefcenter.models import Source
from prefcenter.phone import Number, NumberError
from prefcenter.web import origins, pages, proof
from prefcenter.web.form_token import Way
from prefcenter.web.forms import OptInForm, SignupForm
from prefcenter.web.pages import CategoryRow, Choice

_LABEL = re.compile(r"[A-Za-z0-9._-]{1,40}")


@dataclass(frozen=True, slots=True)
class Reading:
    """A form that lacks nothing has a number, a wording and no errors."""

    number: Number | None
    wording: tuple[str, str] | None  # language and text
    categories: list[str]  # those named by the form; none for all that the site offers
    frequency: str | None  # how often at most; None where the form did not let people choose
    errors: dict[str, str]


def is_yes(value: str | None) -> bool:
    """Only a yes is a yes (RULE-3)."""
    return value in ("yes", "on", "true", "1")


def _number_error(reason: str, country: str) -> str:
    """What to say beside the field, with the next step (DESIGN section 7)."""
    example = phone.example(country)
    sentences: dict[str, str] = {
        "missing": _("Enter your mobile number, like %(example)s", example=example),
        "short": _("That number is too short. Enter all digits, like %(example)s", example=example),
        "country": _("We cannot text numbers in that country"),
        "unusable": _(
            "We cannot text that number. Enter a mobile number, like %(example)s", example=example
        ),
    }
    return sentences[reason]


def of_site(form: OptInForm, place: Place, way: Way | None = None) -> Reading:
    """What a form of a site says. One without boxes asks for all that the site offers.

    Our script shows no statement of age, so nothing that needs one was asked for (RULE-10).
    """
    chosen = _chosen(form, place)
    if way is Way.SCRIPT:
        gated = {row.slug for row in pages.offered() if row.age_gate is not None}
        chosen = [slug for slug in chosen if slug not in gated]
    return _read(
        form,
        countries=countries_of(form, place),
        about=place.about,
        chosen=chosen,
        must_choose=names_categories(form),
    )


def of_ours(form: SignupForm) -> Reading:
    """What the form on our own address says, which always shows its categories."""
    return _read(
        form,
        countries=config.current().countries,
        about={},
        chosen=_chosen(form),
        must_choose=bool(pages.offered()),
    )


def _read(
    form: SignupForm,
    *,
    countries: tuple[str, ...],
    about: Mapping[str, str],
    chosen: list[str],
    must_choose: bool,
) -> Reading:
    """What a form says, and what it lacks, per field, each with its next step."""
    errors: dict[str, str] = {}
    number = None
    try:
        number = phone.parse(form.number.data or "", countries=countries)
    except NumberError as error:
        errors["number"] = _number_error(error.reason, countries[0])
    wording = proof.shown("signup", form.text_version.data or "", about=about)
    if not is_yes(form.consent.data):
        errors["consent"] = _("Tick the box if you agree to get texts")
    elif wording is None:
        errors["consent"] = _("This text has changed. Read it again and tick the box")
    if must_choose and not chosen:
        errors["categories"] = _("Tick at least one kind of text")
    frequency = form.frequency.data or None
    if frequency and frequency not in config.current().frequencies:
        errors["frequency"] = _("Choose one of these")
    return Reading(number, wording, chosen, frequency, errors)


def filled(form: OptInForm, reading: Reading, place: Place, way: Way) -> signup.Filled:
    """The form for the one rule behind all of them. It must lack nothing."""
    assert reading.number is not None and reading.wording is not None
    language, text = reading.wording
    said = {
        "box": "ticked",
        "button": form.button.data or _button(way),
        "way": way.value,
        "source": label(form.source.data),
    }
    return signup.Filled(
        number=reading.number,
        site=place.slug,
        source=Source.FORM if way is Way.STEP else Source.WIDGET,
        categories=reading.categories or sites.offered(place),
        language=language,
        consent_text=text,
        answer={name: value for name, value in said.items() if value},
        page_url=origins.page(form.page.data or "", place),
        ip=request.remote_addr or "",
        user_agent=request.user_agent.string,
        plain=way is Way.STEP,
        frequency=reading.frequency,
    )


def _button(way: Way) -> str:
    """What a form's button says where the form does not tell."""
    words: str = _("Text me the link") if way is Way.STEP else _("Text me a link to confirm")
    return words


def names_categories(form: OptInForm) -> bool:
    """True for a form that let people choose among kinds of text."""
    return bool(form.categories.data or form.shown.data)


def rows(form: OptInForm, place: Place) -> list[CategoryRow]:
    """The categories that people may choose from there, ticked as the form says."""
    ticked = set(_chosen(form, place))
    return [row for row in pages.offered(ticked=ticked) if place.offers(row.slug)]


def frequency_rows(form: SignupForm) -> list[Choice]:
    """How often at most, for a form that named it; only our link's pages offer it unasked."""
    return pages.frequencies(form.frequency.data) if form.frequency.data else []


def label(typed: str | None) -> str:
    """A site's own name for a place on its pages, kept with the proof."""
    return typed if typed and _LABEL.fullmatch(typed) else ""


def countries_of(form: OptInForm, place: Place) -> tuple[str, ...]:
    """The countries that we text; first the one whose national numbers the form takes."""
    asked = (form.country.data or "").upper()
    listed = sites.countries(place)
    if asked not in config.current().countries:
        return listed
    return (asked, *(country for country in listed if country != asked))


def _chosen(form: SignupForm, place: Place | None = None) -> list[str]:
    """What is ticked, of what the form says that it showed; a plain form may not say it."""
    ticked = form.categories.data or []
    shown = form.shown.data or ticked
    ours = [row.slug for row in pages.offered() if place is None or place.offers(row.slug)]
    return [slug for slug in ours if slug in ticked and slug in shown]
