"""Made-up people for the demo: numbers that reach nobody, devices, and what they text.

All numbers are from ranges kept for fiction: 555-0100 to 555-0199 of each North American area
code, and Ofcom's 07700 900000 to 900999. Addresses are those of RFC 5737 and RFC 3849, which
belong to nobody either. Area codes 201 and 202 are left out, because our hints and guides
name numbers there, and whoever types one should be new to the demo.
"""

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_AREAS = {
    "US": (
        *("206", "212", "213", "303", "305", "312", "404", "415", "503"),
        *("512", "602", "612", "617", "702", "713", "718", "801", "919"),
    ),
    "CA": ("403", "416", "514", "604", "902"),
}
_SHARES = {"US": 0.78, "CA": 0.13, "GB": 0.09}
MOST = int(100 * len(_AREAS["US"]) / _SHARES["US"])  # people that the numbers are enough for
_FICTION = re.compile(r"\+1[2-9][0-9]{2}55501[0-9]{2}|\+447700900[0-9]{3}")
_SPANISH = {"US": 0.14, "CA": 0.02, "GB": 0.01}

_DEVICES = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/17.7 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0"
    " Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
    " SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/18.6 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
)
_COMMON = (30, 12, 25, 8, 13, 8, 4)  # of a hundred
_IPV4 = ("192.0.2.", "198.51.100.", "203.0.113.")

# What comes in, and how often in a hundred. Likely refusals are read by a person.
STOPS = {
    "en": {"STOP": 58, "Stop": 18, "stop please": 6, "UNSUBSCRIBE": 6, "no more texts": 5}
    | {"Please take me off your list": 4, "QUIT": 3},
    "es": {"STOP": 55, "ALTO": 30, "ya no quiero": 15},
}
LIKELY = {
    "en": ("Not interested", "too many texts", "this is getting annoying", "no thanks", "spam")
    + ("why are you texting me", "didn't sign up for this", "this is not for me"),
    "es": ("no me interesa",),
}
MENTIONS = ("When does the bus stop near the store?", "can you stop the order 4411")
CHAT = ("ok thx", "Is the signing at 6 or 7?", "is the new Harlan book in yet?", "great, thanks!")
PAGES = {
    "demo": ("newsletter", "", "sale", "new-books", "authors/a-harlan"),
    "checkout": ("checkout/contact", "checkout/done"),
    "poster": ("text-club",),
}


@dataclass(frozen=True, slots=True)
class Somebody:
    """One made-up person."""

    number: str
    country: str
    language: str
    device: str
    ip: str

    @property
    def texts_us(self) -> bool:
        """Ofcom's numbers are no mobile numbers to us, so nothing that is texted is answered."""
        return self.country != "GB"


def is_fiction(number: str) -> bool:
    """True for a number that can reach nobody."""
    return _FICTION.fullmatch(number) is not None


def crowd(rng: random.Random, size: int, countries: Collection[str]) -> list[Somebody]:
    """So many people of these countries, each with a number of their own, if there are enough."""
    pools = {
        code: [f"+1{area}55501{line:02d}" for area in areas for line in range(100)]
        for code, areas in _AREAS.items()
    } | {"GB": [f"+447700900{line:03d}" for line in range(1000)]}
    shares = {code: share for code, share in _SHARES.items() if code in countries}
    found: list[Somebody] = []
    for at, (country, share) in enumerate(shares.items(), start=1):
        part = round(size * share / sum(shares.values()))
        count = min(part if at < len(shares) else size - len(found), len(pools[country]))
        found += [_somebody(rng, number, country) for number in rng.sample(pools[country], count)]
    rng.shuffle(found)
    return found


def one_of(rng: random.Random, weighed: dict[str, int]) -> str:
    return rng.choices(list(weighed), list(weighed.values()))[0]


def ticked(rng: random.Random, kinds: Sequence[str]) -> tuple[str, ...]:
    """What somebody ticks: most take one or two kinds, the first ones most often."""
    chances = (0.8, 0.55, 0.3, 0.2)
    found = [kind for at, kind in enumerate(kinds) if rng.random() < chances[min(at, 3)]]
    return tuple(found) or (rng.choice(kinds),)


def _somebody(rng: random.Random, number: str, country: str) -> Somebody:
    spanish = rng.random() < _SPANISH[country]
    ip = f"{rng.choice(_IPV4)}{rng.randrange(1, 255)}"
    if rng.random() < 0.3:
        ip = f"2001:db8:{rng.randrange(1, 0xFFFF):x}:{rng.randrange(1, 0xFF):x}::1"
    device = rng.choices(_DEVICES, _COMMON)[0]
    return Somebody(number, country, "es" if spanish else "en", device, ip)
