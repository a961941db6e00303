"""Browsers that have signed in before: a signed cookie that names the account (SEC-41).

It opens nothing. It only gives this browser a counter of its own at the sign-in page, so that
strangers who guess at a name cannot keep its owner out.
"""

import hashlib
import secrets

from flask import request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from prefcenter import config
from prefcenter.staff.sessions import Step
from prefcenter.staff.throttle import Visitor
from prefcenter.web import entering

_YEAR = 365 * 86_400
_USE = "device"


def visitor(name: str) -> Visitor:
    """Where this request comes from, as one who tries to be `name`."""
    return Visitor(request.remote_addr or "", _device(name))


def remember(name: str, response: Response) -> Response:
    """Know this browser the next time that somebody signs in here as `name`.

    Not before the second factor: else whoever knows the password alone could make any number
    of browsers known, each with codes of its own to guess.
    """
    worker = entering.worker()
    if worker is None or worker.step is Step.CODE:
        return response
    device = _device(name) or secrets.token_urlsafe(16)
    secure = config.current().public_url.startswith("https://")
    response.set_cookie(
        _cookie(),
        _serializer().dumps([name, device]),
        max_age=_YEAR,
        path="/",
        secure=secure,
        httponly=True,
        samesite="Lax",
    )
    return response


def _device(name: str) -> str:
    try:
        said = _serializer().loads(request.cookies.get(_cookie(), ""), max_age=_YEAR)
    except BadSignature:
        return ""
    owner, device = said
    return str(device) if owner == name else ""


def _cookie() -> str:
    secure = config.current().public_url.startswith("https://")
    return entering.cookie_name("admin-browser", secure=secure)


def _serializer() -> URLSafeTimedSerializer:
    keys = [entering.derived(key, _USE) for key in reversed(config.current().secret_keys)]
    return URLSafeTimedSerializer(
        keys,  # itsdangerous wants the newest last
        salt=_USE,
        signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
    )
