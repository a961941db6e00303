"""How often at most, in words: a cap is "all", "N/week" or "N/month"."""

import re

from flask_babel import gettext as _
from flask_babel import ngettext

_FREQUENCY = re.compile(r"([1-9][0-9]{0,3})/(week|month)\Z")


def how_often(frequency: str) -> str:
    """The end of a sentence: `whenever there is news`, `once a week at most`.

    Takes "all", "N/week" or "N/month"; raises ValueError for anything else.
    """
    words: str
    match _parse(frequency):
        case None:
            words = _("whenever there is news")
        case 1, "week":
            words = _("once a week at most")
        case times, "week":
            words = ngettext("%(num)s time a week at most", "%(num)s times a week at most", times)
        case 1, _month:
            words = _("once a month at most")
        case times, _month:
            words = ngettext("%(num)s time a month at most", "%(num)s times a month at most", times)
    return words


def frequency_label(frequency: str) -> str:
    """The label of a choice under "How often, at most": `Once a week`.

    Takes and raises the same as `how_often`.
    """
    words: str
    match _parse(frequency):
        case None:
            words = _("Whenever there is news")
        case 1, "week":
            words = _("Once a week")
        case times, "week":
            words = ngettext("%(num)s time a week", "%(num)s times a week", times)
        case 1, _month:
            words = _("Once a month")
        case times, _month:
            words = ngettext("%(num)s time a month", "%(num)s times a month", times)
    return words


def _parse(frequency: str) -> tuple[int, str] | None:
    """How many times per "week" or "month"; None for "all"."""
    if frequency == "all":
        return None
    found = _FREQUENCY.match(frequency)
    if found is None:
        raise ValueError(f"Not a frequency: {frequency!r}")
    return int(found[1]), found[2]
