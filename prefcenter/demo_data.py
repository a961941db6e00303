"""What a first look needs: a few categories of a made-up book shop, and a site for its form."""

from datetime import datetime
from urllib.parse import urlsplit

from prefcenter import config
from prefcenter.consent import catalog, sites

SITE = "demo"
_HOSTS = ("127.0.0.1", "localhost")  # two names of one machine, so two origins to a browser
_PORT = 8000
ABOUT = {"en": "news about books and offers", "es": "novedades de libros y ofertas"}

_CATEGORIES = (
    (
        "offers",
        "Sales and offers",
        "About 2 texts a month",
        "Rebajas y ofertas",
        "Unos 2 mensajes al mes",
    ),
    (
        "new-books",
        "New books",
        "About 1 text a week",
        "Libros nuevos",
        "Más o menos 1 mensaje a la semana",
    ),
    (
        "events",
        "Events near you",
        "A few times a year",
        "Actos cerca de usted",
        "Unas pocas veces al año",
    ),
    (
        "in-stock",
        "Back in stock",
        "Only for books you asked about",
        "De nuevo disponible",
        "Solo para libros por los que preguntó",
    ),
)


def add() -> int:
    """Add the demo's categories where there are none yet; gives how many. Never commits."""
    if catalog.every():
        return 0
    for slug, name, description, spanish, spanish_description in _CATEGORIES:
        words = {"es": {"name": spanish, "description": spanish_description}}
        catalog.add(slug, name, description=description, translations=words)
    return len(_CATEGORIES)


def add_site(*, now: datetime) -> bool:
    """Add the demo's site unless there is a site already. Never commits."""
    if sites.every():
        return False
    port = urlsplit(config.current().public_url).port or _PORT
    origins = [f"http://{host}:{one}" for host in _HOSTS for one in sorted({_PORT, port})]
    sites.add(SITE, "Demo", origins=origins, about=ABOUT, now=now)
    return True
