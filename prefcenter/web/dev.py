"""The texts as a phone would show them: development with the console sender only."""

import re

import sqlalchemy as sa
from flask import Blueprint
from markupsafe import Markup, escape
from werkzeug.wrappers import Response

from prefcenter import config
from prefcenter.database import db
from prefcenter.models import OutboxMessage
from prefcenter.sms.encoding import measure
from prefcenter.web import htmx, pages

bp = Blueprint("dev", __name__)
_NEWEST = 200


@bp.get("/dev/outbox")
def outbox() -> Response:
    query = sa.select(OutboxMessage).order_by(OutboxMessage.id.desc()).limit(_NEWEST)
    texts = [_view(message) for message in db.session.scalars(query)]
    return htmx.render("dev/outbox.html", texts=texts)


def _view(message: OutboxMessage) -> object:
    size = measure(message.body)
    return pages.view(
        to=message.to,
        at=message.created_at,
        body_html=_linked(message.body),
        kind=message.kind.value,
        status=message.status.value,
        language=message.language,
        parts=size.parts,
        septets=size.units,
    )


def _linked(body: str) -> Markup:
    """The text with our own links clickable, as phones make them."""
    ours = re.escape(str(escape(config.current().public_url)))
    return Markup(re.sub(rf"({ours}/\S+)", r'<a href="\1">\1</a>', str(escape(body))))
