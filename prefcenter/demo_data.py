"""What a first look needs: a few categories of a made-up book shop."""

from prefcenter.consent import catalog

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
