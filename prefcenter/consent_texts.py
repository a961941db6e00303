"""The words people agree to, as plain text in the language of the page.

They are shown in full above the button that gives consent, and stored word for word as proof
(RULE-11), so they hold no markup and no address. They say who texts, what, how often, what it
costs, how to stop and get help (RULE-1), that it is automated marketing and no condition of
buying (RULE-2), and which number it is about (RULE-3). A change of wording here makes a new
text version by itself, because versions are told apart by their content.
"""

from typing import Literal

from flask_babel import gettext as _
from flask_babel import ngettext

Kind = Literal["signup", "confirm", "restart"]


def consent_text(kind: Kind, brand: str, texts_per_month: int, about: str = "") -> str:
    """The full text for the sign-up box, the confirm button or "Start texts again".

    `about` is what a site's owner adds to the sign-up box: what is texted, and nothing else
    can be changed or left out there.
    """
    opening = {
        "signup": _(
            "I agree to get recurring automated marketing texts from %(brand)s at this number. "
            "I do not have to agree to buy anything.",
            brand=f"{brand} ({about})" if about else brand,
        ),
        "confirm": _(
            "By pressing “Yes, text me” you agree to get recurring automated marketing texts "
            "from %(brand)s at this number. You do not have to agree to buy anything.",
            brand=brand,
        ),
        "restart": _(
            "By pressing “Start texts again” you agree to get recurring automated marketing "
            "texts from %(brand)s at this number. You do not have to agree to buy anything.",
            brand=brand,
        ),
    }[kind]
    sentences = (
        opening,
        ngettext("About %(num)s text a month.", "About %(num)s texts a month.", texts_per_month),
        _("Message and data rates may apply."),
        _("Reply %(stop)s to end, %(help)s for help.", stop="STOP", help="HELP"),
        # Named as the links in the footer are; the page turns the two names into those links.
        _("%(terms)s and %(privacy)s.", terms=_("Terms"), privacy=_("Privacy")),
    )
    return " ".join(sentences)


def age_statement(years: int) -> str:
    """What ticking a category with an age limit says (RULE-10)."""
    words: str = _("By ticking this you say that you are %(years)s or older.", years=years)
    return words
