"""A message without its dress: the letters and digits that a person meant.

Keyboards add capitals, accents, typographic quotes and emoji; copied text adds marks that
nobody sees. None of it changes what was said (RULE-18, SEC-35). Pure: no database.
"""

import re
import unicodedata
from functools import lru_cache

# Longer than any text that a phone can send. What stands behind it is not read.
LONGEST = 4000
# One letter of Korean comes apart into three before it is put together again.
_LONGEST_APART = 4 * LONGEST
_APOSTROPHES = frozenset("'`´‘’‛ʹʻʼʽʾʿˈ′＇")  # noqa: RUF001 - all that phones write for one
# Joined in English ("don't" is one word), a space in French and Italian ("n'envoyez").
_ENGLISH_APOSTROPHE = re.compile(r"(?<=\w)'(?=(?:t|s|m|d|re|ve|ll|em|all)\b)")
_DOLLARS_FOR_S = re.compile(r"(?<=[a-z])\$+|\$+(?=[a-z])")
_NUMBER_SIGN = re.compile(r"(?i)(?<!\w)(my|your|ur|his|her|this|that|the|wrong)\s#(?!\w)")
# These are words: "🛑 texting me", "🚫 messages".
TELLING = frozenset("🛑⛔🚫🖕📵🔕❌")
_SAME_AGAIN = re.compile(rf"([{''.join(TELLING)}])(?: \1)+")
_LEFT_OVER = str.maketrans("'$", "  ")


def normalise(text: str) -> str:
    """Lower-case words of letters and digits with one space between; never raises.

    Accents are dropped, so ARRÊT is "arret"; full-width and circled letters become plain
    ones. Pictures go too, but for a stop sign and the like, of which a row is one. Doing it twice
    changes nothing.
    """
    text = _NUMBER_SIGN.sub(r"\1 number", text)
    apart = " ".join("".join(map(_face, text)).split())[:_LONGEST_APART]
    apart = _DOLLARS_FOR_S.sub(lambda found: "s" * len(found[0]), apart)
    apart = _ENGLISH_APOSTROPHE.sub("", apart).translate(_LEFT_OVER)
    spoken = _SAME_AGAIN.sub(r"\1", " ".join(apart.split()))
    together = unicodedata.normalize("NFC", spoken)
    return together[:LONGEST].rstrip()


def without_pictures(said: str) -> str:
    """Normalised text without the pictures that normalise() kept."""
    return " ".join(word for word in said.split() if word not in TELLING)


@lru_cache(maxsize=4096)
def _face(char: str) -> str:
    """What one character says: letters, a space, an apostrophe, or nothing."""
    if char in _APOSTROPHES:
        return "'"
    if char in TELLING:
        return f" {char} "
    decomposed = unicodedata.normalize("NFKD", char).casefold()
    return "".join(map(_kept, unicodedata.normalize("NFKD", decomposed)))


def _kept(char: str) -> str:
    """The character itself when it carries meaning; a space where words may part."""
    category = unicodedata.category(char)
    if char in _APOSTROPHES:
        return "'"
    if category[0] in "LN" or char == "$":
        return char
    if category[0] == "M":  # vowel signs of Hindi or Thai mean something, accents are dress
        return "" if category == "Me" or _is_dress(char) else char
    if category[0] == "C" and not char.isspace():
        return ""  # zero-width, direction and control characters, half of a pair
    return " "


def _is_dress(mark: str) -> bool:
    return "\u0300" <= mark <= "\u036f" or "\ufe00" <= mark <= "\ufe0f"
