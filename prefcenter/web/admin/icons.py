"""The few icons of the pages for staff, drawn as lines so that they take the text's colour."""

from markupsafe import Markup

_PATHS = {
    "bars": "M3 3v14h14M7 14V9M11 14V5M15 14v-3",
    "clock": "M10 6v4l3 2M3.5 10a6.5 6.5 0 1 0 2-4.7M3 3v3.5h3.5",
    "phone": "M6.5 2.5h7v15h-7zM9 14.8h2",
    "eye": "M1.8 10S5 4.5 10 4.5 18.2 10 18.2 10 15 15.5 10 15.5 1.8 10 1.8 10zM10 12.3a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6z",
    "bell": "M5 14V9a5 5 0 0 1 10 0v5l1.5 1.5h-13zM8.5 17.5h3",
    "down": "M10 3v9M6.5 9 10 12.5 13.5 9M3.5 16.5h13",
    "list": "M7 5h10M7 10h10M7 15h10M3 5h.5M3 10h.5M3 15h.5",
    "form": "M3 4h14v12H3zM6 8h8M6 12h5",
    "text": "M3 4h14v10H9l-3.5 3v-3H3zM6.5 8h7M6.5 11h4.5",
    "badge": "M10 2.5l6 2.5v4.5c0 4-2.6 6.7-6 8-3.4-1.3-6-4-6-8V5zM7.3 10l2 2 3.5-4",
    "key": "M12.5 10.5a3.8 3.8 0 1 0-3.2-1.8L3 15v2.5h3V15h2v-2h1.7l1-1.1",
    "people": "M7.5 10a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 16.5c0-3 2.2-4.7 5-4.7s5 1.7 5 4.7M13 9.7a2.6 2.6 0 0 0 0-5M14.5 12c1.9.6 3 2.1 3 4.5",
    "log": "M5 2.5h10v15H5zM8 6.5h4M8 10h4M8 13.5h2.5",
    "out": "M8 3H3.5v14H8M12.5 6.5 16 10l-3.5 3.5M7.5 10H16",
    "check": "M4 10.5l4 4 8-9",
    "stop": "M5 5h10v10H5z",
    "pause": "M7 4.5v11M13 4.5v11",
    "play": "M6.5 4.5v11l9-5.5z",
    "plus": "M10 4v12M4 10h12",
    "arrow": "M3.5 10h13M12 5.5l4.5 4.5-4.5 4.5",
    "pen": "M3.5 16.5l.8-3.6L13.5 3.7l2.8 2.8-9.2 9.2z",
    "cross": "M5 5l10 10M15 5L5 15",
    "dot": "M10 10h.01",
    "swap": "M4 7h11M12 4l3 3-3 3M16 13H5M8 10l-3 3 3 3",
    "person": "M10 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM4 17c0-3.5 2.6-5.5 6-5.5s6 2 6 5.5",
    "cog": "M3 6h8M15 6h2M3 14h2M9 14h8M13 8.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4zM7 16.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4z",
    "cloud": "M6 15.5a3.5 3.5 0 0 1-.4-7A4.7 4.7 0 0 1 14.6 9 3.3 3.3 0 0 1 14 15.5z",
}


def icon(name: str) -> Markup:
    """One icon; words beside it say the same, so it is hidden from screen readers."""
    return Markup(
        '<svg class="icon" viewBox="0 0 20 20" width="20" height="20" fill="none"'
        ' stroke="currentColor" stroke-width="1.6" stroke-linecap="round"'
        ' stroke-linejoin="round" aria-hidden="true"><path d="{}"/></svg>'
    ).format(_PATHS[name])
