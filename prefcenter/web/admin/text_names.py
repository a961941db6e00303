"""What the pages for texts call things: each text and when it is used, each placeholder, and each
fault as a sentence with its cure."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from prefcenter.sms import own_texts
from prefcenter.sms.wording import Fault

# Kind: name, and when somebody gets or reads it.
TEXTS = {
    "confirm_request": (_l("Confirm request"), _l("After a form or JOIN, before anything else.")),
    "welcome": (_l("Welcome"), _l("Right after somebody confirmed.")),
    "changed": (_l("Choices changed"), _l("After choices were saved on the page.")),
    "unsubscribed": (_l("Stop confirmed"), _l("Once, within five minutes of a STOP.")),
    "resubscribed": (_l("Start again"), _l("After START from somebody who had confirmed before.")),
    "already_subscribed": (_l("Already subscribed"), _l("After a form or JOIN from a subscriber.")),
    "help": (_l("Help"), _l("The answer to HELP, for anyone.")),
    "new_link": (_l("New link"), _l("After “Text me a new link”.")),
    "which": (_l("Which to keep"), _l("After STOP from somebody who gets several kinds.")),
    "preferences": (_l("Preferences changed by text"), _l("After LESS, WEEKLY or MONTHLY.")),
    "paused": (_l("Paused"), _l("After PAUSE by text.")),
    "resumed": (_l("Resumed"), _l("After RESUME by text.")),
    "menu": (_l("Menu"), _l("The answer to MENU.")),
}
CONSENT = {
    "consent_signup": (_l("Sign-up form"), _l("Beside the box to tick, on every form.")),
    "consent_confirm": (_l("Confirm page"), _l("Above “Yes, text me”.")),
    "consent_restart": (_l("Start texts again"), _l("Above “Start texts again”.")),
}
PLACEHOLDERS = {
    "{brand}": _l("who sends it"),
    "{link}": _l("the person’s own link"),
    "{support}": _l("where to get help"),
    "{frequency}": _l("how often"),
    "{categories}": _l("the kinds of text that they get"),
    "{until}": _l("the day on which the pause ends"),
    "{options}": _l("the kinds of text, numbered"),
    "{commands}": _l("the words that can be texted"),
    "{terms}": _l("the name of your terms, as a link"),
    "{privacy}": _l("the name of your privacy policy, as a link"),
}
_FAULTS = {
    "empty": _l("Write something, or go back to the shipped words."),
    "unknown": _l("%(part)s is no placeholder of this text. Use those named beside it."),
    "not_here": _l("%(part)s has no value in this text. Take it out."),
    "brace": _l("A brace stands alone. Braces only go around the name of a placeholder."),
    "brand": _l("Write {brand}. Every text must say who sends it."),
    "stop": _l("Write STOP, in capitals. Every text must say how to end the texts."),
    "missing": _l("Write %(part)s. Without it this text does not do what it is for."),
    "help": _l("Write HELP, in capitals. This text must say how to get help."),
    "rates": _l("Say that message and data rates may apply."),
    "address": _l("Take %(part)s out. Addresses come from the settings and are never typed here."),
    "long": _l(
        "Make it shorter: %(part)s characters are more than the %(longest)s that are taken."
    ),
    "markup": _l("Take < and > out. These words are plain text."),
}
# What words of consent must say (RULE-1 to RULE-3), as what to do where it is missing.
ELEMENTS = {
    "agree": _l("Say that the person agrees, such as “I agree” or “you agree”."),
    "brand": _l("Name who sends the texts: write {brand}."),
    "recurring": _l("Say that the texts are recurring."),
    "automated": _l("Say that the texts are automated."),
    "marketing": _l("Say that the texts are marketing."),
    "texts": _l("Say that they are texts."),
    "number": _l("Say which number they go to, such as “at this number”."),
    "purchase": _l("Say that nobody has to agree in order to buy."),
    "frequency": _l("Say how often: write {frequency}, or that the frequency varies."),
    "rates": _l("Say that message and data rates may apply."),
    "stop": _l("Say how to end the texts: write STOP, in capitals."),
    "help": _l("Say how to get help: write HELP, in capitals."),
    "terms": _l("Name the terms: write {terms}."),
    "privacy": _l("Name the privacy policy: write {privacy}."),
}


def of_text(fault: Fault) -> str:
    """What is wrong with a text, and the cure."""
    return _sentence(str(_FAULTS[fault.code]), fault, own_texts.LONGEST)


def of_consent(fault: Fault, longest: int) -> str:
    """What is wrong with words of consent, and the cure."""
    words = ELEMENTS.get(fault.code) or _FAULTS[fault.code]
    return _sentence(str(words), fault, longest)


def _sentence(words: str, fault: Fault, longest: int) -> str:
    return words.replace("%(part)s", fault.part).replace("%(longest)s", str(longest))


def parts(count: int) -> str:
    """How many parts, and so what a text costs."""
    words: str = _("1 part") if count == 1 else _("%(count)s parts", count=count)
    return words
