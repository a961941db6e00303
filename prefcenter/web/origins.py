"""Which websites may use a site's form, and which of their addresses we believe (SEC-21, SEC-23).

Addresses are read by one strict pattern, because browsers and libraries disagree about odd
ones: no name or password in them, no backslash, no character that needs guessing.
"""

import re
from dataclasses import dataclass

from flask import abort, request
from werkzeug.wrappers import Response

from prefcenter import config
from prefcenter.consent.sites import Place

OPAQUE = "null"  # what a sandboxed frame, or a page that hides its address, says
_LONGEST = 2_000
_LONGEST_PAGE = 300
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.IGNORECASE,
)
_UNSURE = re.compile(r"[^!-~]|[\\\"<>^`{|}]")
_USUAL_PORT = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class Address:
    """A web address in its parts; put together they are what was read."""

    origin: str
    path: str
    query: str = ""
    fragment: str = ""


def read(text: str) -> Address | None:
    """A http(s) address, or None for anything that could be read in two ways."""
    found = _ADDRESS.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None or _UNSURE.search(text):
        return None
    scheme, port = found["scheme"].lower(), found["port"]
    origin = f"{scheme}://{found['host'].lower()}"
    if port and port != _USUAL_PORT[scheme]:
        origin += f":{port}"
    return Address(origin, found["path"] or "/", found["query"] or "", found["fragment"] or "")


def ours() -> tuple[str, ...]:
    """The origins of our own pages. While developing, this machine has several names."""
    settings = config.current()
    urls = [settings.public_url, *([request.host_url] if settings.development else [])]
    return tuple(dict.fromkeys(found.origin for url in urls if (found := read(url))))


def check(place: Place) -> None:
    """403 for a page of a website that is not on the site's list."""
    origin = request.headers.get("Origin", OPAQUE)
    if origin != OPAQUE and not _is_known(origin, place):
        abort(403)


def allow(response: Response, place: Place) -> None:
    """Let the page that asks read the answer: exactly its origin, and never with a cookie."""
    origin = request.headers.get("Origin", "")
    if origin == OPAQUE or (origin and _is_known(origin, place)):
        response.headers["Access-Control-Allow-Origin"] = origin
    response.vary.add("Origin")


def onward(return_to: str, place: Place) -> Address | None:
    """Where a form sends people afterwards, if that is a page of the site (SEC-45)."""
    address = read(return_to)
    return address if address and address.origin in place.origins else None


def with_news(address: Address) -> str:
    """The address with `prefcenter=sent` in its query."""
    query = f"{address.query}{'&' if len(address.query) > 1 else ''}" or "?"
    return f"{address.origin}{address.path}{query}prefcenter=sent{address.fragment}"


def page(said: str, place: Place) -> str:
    """The page that a form stood on, for the proof: what it says, else what the browser says.

    Without query and fragment, which may hold anything; "" for a page of somebody else.
    """
    address = read(said)
    if address is None or not _is_known(address.origin, place):
        address = read(request.headers.get("Referer", ""))
        if address is None or address.origin not in place.origins:
            return ""
    return (address.origin + address.path)[:_LONGEST_PAGE]


def around(said: str, place: Place) -> str:
    """Like `page`, but "" also for a page of ours: the site's own page around our frame."""
    found = page(said, place)
    return found if found.startswith(tuple(f"{origin}/" for origin in place.origins)) else ""


def _is_known(origin: str, place: Place) -> bool:
    return origin in place.origins or origin in ours()
