"""Shape and cleaning of what forms send; what it means is decided by the rules.

The HTML stands in the templates (drawing fields with WTForms costs more than a page), and
there is no session, so no CSRF token: a signed link or a texted one is the authority.
"""

from typing import Any

from flask import request
from flask_wtf import FlaskForm
from wtforms import Field, StringField
from wtforms.validators import AnyOf, Length, Optional, Regexp

from prefcenter import config
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


class SignupForm(_Form):
    number = StringField(filters=[_clean], validators=[Length(max=64)])
    consent = StringField(filters=[_clean])
    text_version = StringField(filters=[_clean], validators=[Length(max=64)])
    categories = Slugs()
    shown = Slugs()


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
