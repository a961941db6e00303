"""Shape and cleaning of what forms send; what it means is decided by the rules.

The HTML stands in the templates (drawing fields with WTForms costs more than a page), and
there is no session, so no CSRF token: a signed link or a texted one is the authority.
"""

import unicodedata
from collections.abc import Callable
from typing import Any

from flask import request
from flask_wtf import FlaskForm
from wtforms import Field, StringField
from wtforms.validators import AnyOf, Length, Optional, Regexp

from prefcenter import config, phone
from prefcenter.consent.pausing import PAUSES

_MAX_REPEATS = 200


class Slugs(Field):
    """A repeated field of short names; anything else in it is dropped."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        self.data = [
            value
            for value in valuelist[:_MAX_REPEATS]
            if len(value) <= 40 and value.replace("-", "").replace("_", "").isalnum()
        ]


class _Form(FlaskForm):
    class Meta:
        csrf = False

        def wrap_formdata(self, form: FlaskForm, formdata: object) -> object:
            """Only what a form posts: JSON and files would bring other types in (SEC-5)."""
            if formdata is None or request.method != "POST":
                return None
            return request.form

        def get_translations(self, form: FlaskForm) -> None:
            """WTForms' own messages are never shown, so they need no catalogue."""


def _clean(value: str | None) -> str:
    """Text without characters that no database or log should see (SEC-5)."""
    return "".join(char for char in value or "" if char.isprintable())


def _typed(value: str | None) -> str:
    """A number as it was typed, but for control characters: phone.parse() judges the rest.

    What is too long for it stays too long where it is cut: another number may be left of it.
    """
    kept = (" " if unicodedata.category(char) == "Cc" else char for char in value or "")
    text = "".join(char for char in kept if unicodedata.category(char) != "Cs").strip()
    return text if len(text) <= phone.LONGEST_TYPED else text[: phone.LONGEST_TYPED] + "…"


def _short(longest: int) -> Callable[[str | None], str]:
    """What is only noted as evidence is cut, never a reason to refuse a form."""

    def cut(value: str | None) -> str:
        return _clean(value)[:longest]

    return cut


class SignupForm(_Form):
    """What every sign-up form has; what is not filled in is an empty text."""

    number = StringField(filters=[_typed])
    consent = StringField(filters=[_short(64)])
    text_version = StringField(filters=[_short(65)])
    categories = Slugs()
    shown = Slugs()
    frequency = StringField(filters=[_short(20)])


class OptInForm(SignupForm):
    """The widget's form, from any page."""

    form_token = StringField(filters=[_short(300)])
    work = StringField(filters=[_short(5000)])
    lang = StringField(filters=[_short(8)])
    country = StringField(filters=[_short(2)])
    page = StringField(filters=[_short(2000)])
    source = StringField(filters=[_short(80)])
    button = StringField(filters=[_short(80)])
    return_to = StringField(filters=[_short(2001)])
    leave_empty = StringField(filters=[_short(80)])


def _frequency(_form: FlaskForm, field: Field) -> None:
    if field.data and not config.is_frequency(field.data):
        field.data = None


class PreferencesForm(_Form):
    categories = Slugs()
    shown = Slugs()
    frequency = StringField(validators=[Optional(), _frequency])
    language = StringField(validators=[Optional(), AnyOf(config.LANGUAGES)])
    version = StringField(validators=[Optional(), Regexp(r"[0-9]{1,9}\Z")])


class FewerForm(_Form):
    frequency = StringField(validators=[_frequency])


class PauseForm(_Form):
    pause = StringField(validators=[AnyOf(list(PAUSES))])


class ConfirmForm(_Form):
    text_version = StringField(filters=[_clean], validators=[Length(max=64)])
    request = StringField(filters=[_clean], validators=[Length(max=64)])


class TextVersionForm(_Form):
    text_version = StringField(filters=[_clean], validators=[Length(max=64)])
