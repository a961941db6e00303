"""The words people agree to, as plain text in the language of the page.

They are shown in full above the button that gives consent, and stored word for word as proof
(RULE-11), so they hold no markup and no address. They say who texts, what, how often, what it
costs, how to stop and get help (RULE-1), that it is automated marketing and no condition of
buying (RULE-2), and which number it is about (RULE-3). A change of wording here makes a new
text version by itself, because versions are told apart by their content. What people here write
in their place is kept to the same rules (consent/wordings.py).
"""

import re
from typing import Literal

from flask_babel import gettext as _
from flask_babel import ngettext

Kind = Literal["signup", "confirm", "restart"]
PLACEHOLDERS = ("{brand}", "{frequency}", "{terms}", "{privacy}")
_SLOT = re.compile("|".join(map(re.escape, PLACEHOLDERS)))


def consent_text(kind: Kind, brand: str, texts_per_month: int, about: str = "") -> str:
    """The full text that we ship for the sign-up box, the confirm button or "Start texts again".

    `about` is what a site's owner adds to the sign-up box: what is texted.
    """
    return fill(template(kind), brand, texts_per_month, about)


def template(kind: Kind) -> str:
    """The text that we ship, with placeholders for what the settings say."""
    opening = {
        "signup": _(
            "I agree to get recurring automated marketing texts from %(brand)s at this number. "
            "I do not have to agree to buy anything.",
            brand="{brand}",
        ),
        "confirm": _(
            "By pressing “Yes, text me” you agree to get recurring automated marketing texts "
            "from %(brand)s at this number. You do not have to agree to buy anything.",
            brand="{brand}",
        ),
        "restart": _(
            "By pressing “Start texts again” you agree to get recurring automated marketing "
            "texts from %(brand)s at this number. You do not have to agree to buy anything.",
            brand="{brand}",
        ),
    }[kind]
    sentences = (
        opening,
        "{frequency}",
        _("Message and data rates may apply."),
        _("Reply %(stop)s to end, %(help)s for help.", stop="STOP", help="HELP"),
        _("%(terms)s and %(privacy)s.", terms="{terms}", privacy="{privacy}"),
    )
    return " ".join(sentences)


def fill(words: str, brand: str, texts_per_month: int, about: str = "") -> str:
    """A template with our values, in one pass: a placeholder inside a value stays as it is."""
    often = ngettext("About %(num)s text a month.", "About %(num)s texts a month.", texts_per_month)
    values = {
        "{brand}": f"{brand} ({about})" if about else brand,
        "{frequency}": often,
        # Named as the links in the footer are; the page turns the two names into those links.
        "{terms}": _("Terms"),
        "{privacy}": _("Privacy"),
    }
    return _SLOT.sub(lambda slot: values[slot[0]], words)


def age_statement(years: int) -> str:
    """What ticking a category with an age limit says (RULE-10)."""
    words: str = _("By ticking this you say that you are %(years)s or older.", years=years)
    return words
