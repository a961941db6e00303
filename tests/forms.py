"""Forms as they come in, for tests of what they may cause."""

from datetime import datetime

from prefcenter.consent import signup
from prefcenter.database import db, writing
from prefcenter.models import Source
from prefcenter.phone import Number, country_of


def fill(number: str, *, site: str = "prefs.test", ip: str = "198.51.100.7") -> signup.Filled:
    """A form that somebody filled in on a page of this site."""
    return signup.Filled(
        number=Number(number, country_of(number)),
        site=site,
        source=Source.WIDGET,
        categories=["offers"],
        language="en",
        consent_text="I agree.",
        answer={"box": "ticked", "button": "Text me a link to confirm"},
        page_url="https://shop.example/",
        ip=ip,
        user_agent="Firefox",
    )


def admit(form: signup.Filled, now: datetime) -> None:
    """The form comes in, and a sender looks at it."""
    with writing():
        signup.receive(form, now=now)
        row = signup.waiting(10_000)[-1]
        db.session.commit()
    with writing():
        signup.admit(row, now=now)
        db.session.commit()
