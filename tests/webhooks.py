"""Stands in for the side of Vonage that posts to us: genuine webhooks, and every faulty kind.

For a Flask client: `client.post(INBOUND, data=raw, headers=headers(raw, now=...))`. For a real
server: `Vonage(host, port, now=clock.now).post_inbound("STOP")`. FAULTS has what must never be
believed. The shapes are those of the Messages API v1 as Vonage publishes it (OpenAPI 1.20.0).
"""

import base64
import functools
import hashlib
import hmac
import http.client
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt

from tests.cast import ALICE
from tests.standin import application_key

INBOUND, STATUS = "/webhooks/vonage/inbound", "/webhooks/vonage/status"
API_KEY = "a1b2c3d4"
APPLICATION_ID = "6c2b5d1e-0f4a-4c7b-9a53-1f8e2d7c4b60"
SECRET = "Wm3xQ8rT1vYz6LkPb0HsNc5JdGf7aUe2oXiR9tKq4yVw"
SENDER = "+12025550100"
SETTINGS = {
    "VONAGE_API_KEY": API_KEY,
    "VONAGE_APPLICATION_ID": APPLICATION_ID,
    "VONAGE_SIGNATURE_SECRETS": SECRET,
}
NAMES = {"1240": "Illegal Number", "1190": "Absent Subscriber Permanent"}

Headers = list[tuple[str, str]]
JSON = ("Content-Type", "application/json")


def inbound_body(
    text: str | None = "STOP",
    *,
    number: str = ALICE,
    to: str = SENDER,
    message_id: str | None = None,
    at: datetime,
    **changes: object,
) -> bytes:
    """A text from `number` to us. Changes are fields to set, or None to leave out."""
    words = (text or "").split()
    fields: dict[str, object] = {
        "channel": "sms",
        "message_uuid": message_id or str(uuid.uuid4()),
        "to": to.removeprefix("+"),
        "from": number.removeprefix("+"),
        "timestamp": _iso(at),
        "text": text,
        "sms": {"num_messages": "1", "keyword": words[0].upper() if words else ""},
        "usage": {"currency": "EUR", "price": "0.0333"},
        "origin": {"network_code": "310260"},
    }
    return _json(fields | changes)


def status_body(
    status: str,
    *,
    message_id: str,
    ref: str | None = None,
    at: datetime,
    code: str | None = None,
    number: str = ALICE,
    **changes: object,
) -> bytes:
    """A receipt for a text of ours; `code` is Vonage's error number."""
    error = {
        "type": f"https://developer.vonage.com/api-errors/messages#{code}",
        "title": code,
        "detail": NAMES.get(code or "", "Something went wrong"),
        "instance": uuid.uuid4().hex,
    }
    fields: dict[str, object] = {
        "message_uuid": message_id,
        "to": number.removeprefix("+"),
        "from": SENDER.removeprefix("+"),
        "timestamp": _iso(at),
        "status": status,
        "error": error if code else None,
        "channel": "sms",
        "client_ref": ref,
        "destination": {"network_code": "310260"},
        "usage": {"currency": "EUR", "price": "0.0333"},
        "sms": {"count_total": "1"},
    }
    return _json(fields | changes)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(fields: dict[str, object]) -> bytes:
    kept = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()


def claims(raw: bytes, *, now: datetime, **changes: object) -> dict[str, object]:
    """What Vonage says in a token for this body."""
    said: dict[str, object] = {
        "iat": int(now.timestamp()),
        "jti": str(uuid.uuid4()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(raw).hexdigest(),
        "api_key": API_KEY,
        "application_id": APPLICATION_ID,
    }
    return {name: value for name, value in (said | changes).items() if value is not None}


def token(raw: bytes, *, now: datetime, secret: str = SECRET, **changes: object) -> str:
    """A token for this body. Changes are claims to set, or None to leave out."""
    return sign(claims(raw, now=now, **changes), secret=secret)


def sign(
    said: dict[str, object] | bytes,
    *,
    secret: str | bytes = SECRET,
    digest: str = "sha256",
    **header: object,
) -> str:
    """A JWT by hand, so that it can be as wrong as anybody could make it."""
    head = json.dumps({"typ": "JWT", "alg": "HS256"} | header).encode()
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    signed = f"{_b64(head)}.{_b64(body)}"
    key = secret if isinstance(secret, bytes) else secret.encode()
    return f"{signed}.{_b64(hmac.digest(key, signed.encode(), digest))}"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def headers(raw: bytes, *, now: datetime, **changes: Any) -> dict[str, str]:
    """The headers of a genuine post; the changes are those of `token`."""
    return dict([JSON, ("Authorization", f"Bearer {token(raw, now=now, **changes)}")])


@dataclass(frozen=True)
class Fault:
    """Builds a post that must not be believed, from a genuine body and the moment."""

    status: int
    reason: str  # the word that our logs have for it
    build: Callable[[bytes, datetime], tuple[Headers, bytes]]

    def __call__(self, raw: bytes, now: datetime) -> tuple[Headers, bytes]:
        return self.build(raw, now)


def _plain(status: int, reason: str, *values: str) -> Fault:
    """These Authorization headers, whatever the body."""
    return Fault(
        status, reason, lambda raw, now: ([JSON, *(("Authorization", v) for v in values)], raw)
    )


def _made(reason: str, make: Callable[[bytes, datetime], str], status: int = 401) -> Fault:
    """One Bearer token, made for the body."""
    return Fault(
        status,
        reason,
        lambda raw, now: ([JSON, ("Authorization", f"Bearer {make(raw, now)}")], raw),
    )


def _said(reason: str, **changes: object) -> Fault:
    """A genuine signature below a claim that is wrong, or None for left out."""
    return _made(reason, lambda raw, now: token(raw, now=now, **changes))


def _timed(reason: str, claim: str, by: timedelta, status: int = 401) -> Fault:
    """A genuine signature below a moment that lies so far from now."""
    return _made(
        reason,
        lambda raw, now: token(raw, now=now, **{claim: int((now + by).timestamp())}),
        status,
    )


def _headed(reason: str, **header: object) -> Fault:
    """A genuine signature and genuine claims below another header."""
    return _made(reason, lambda raw, now: sign(claims(raw, now=now), **header))


def _two_headers(raw: bytes, now: datetime) -> tuple[Headers, bytes]:
    one = ("Authorization", f"Bearer {token(raw, now=now)}")
    return [JSON, one, one], raw


def _another_body(raw: bytes, now: datetime) -> tuple[Headers, bytes]:
    return list(headers(raw, now=now).items()), raw.replace(b"STOP", b"START") + b" "


def _unsigned_claims(raw: bytes, now: datetime) -> str:
    return sign(claims(raw, now=now), alg="none").rpartition(".")[0] + "."


@functools.cache
def _key_pair() -> tuple[str, str]:
    return application_key()


def _of_their_own_key(raw: bytes, now: datetime) -> str:
    return jwt.encode(claims(raw, now=now), _key_pair()[0], algorithm="RS256")


def _of_the_public_key(raw: bytes, now: datetime) -> str:
    return sign(claims(raw, now=now), secret=_key_pair()[1])


def _digest(name: str, digest: str) -> Fault:
    return _made("signature", lambda raw, now: sign(claims(raw, now=now), alg=name, digest=digest))


_DEEP = b'{"iat":' + b"[" * 2500 + b"]" * 2500 + b"}"
_DIGITS = b'{"iat":' + b"9" * 5000 + b"}"

FAULTS: dict[str, Fault] = {
    # What comes in the header.
    "no header": _plain(503, "unsigned"),
    "blank header": _plain(503, "unsigned", " "),
    "empty bearer": _plain(401, "signature", "Bearer "),
    "bearer alone": _plain(401, "signature", "Bearer"),
    "basic": _plain(401, "scheme", "Basic YTFiMmMzZDQ6c2VjcmV0"),
    "no scheme": Fault(
        401, "scheme", lambda raw, now: ([JSON, ("Authorization", token(raw, now=now))], raw)
    ),
    "two headers": Fault(401, "two headers", _two_headers),
    "two tokens in one header": _made(
        "signature", lambda raw, now: ",".join([token(raw, now=now)] * 2)
    ),
    "junk": _plain(401, "signature", "Bearer junk"),
    "not ASCII": _plain(401, "token", "Bearer \xe9.\xff.\xa0x"),
    "longer than 8 KiB": _made("token", lambda raw, now: token(raw, now=now, pad="x" * 8192)),
    # The signature.
    "wrong secret": _made("signature", lambda raw, now: token(raw, now=now, secret="x" * 44)),
    "empty secret": _made("signature", lambda raw, now: token(raw, now=now, secret="")),
    "cut token": _made("signature", lambda raw, now: token(raw, now=now)[:-1]),
    "longer token": _made("signature", lambda raw, now: token(raw, now=now) + "A"),
    "padded token": _made("signature", lambda raw, now: token(raw, now=now) + "="),
    "no signature": _made("signature", lambda raw, now: token(raw, now=now).rpartition(".")[0]),
    "alg none": _made("signature", _unsigned_claims),
    "HS384": _digest("HS384", "sha384"),
    "HS512": _digest("HS512", "sha512"),
    "RS256 by a key of their own": _made("signature", _of_their_own_key),
    "HS256 by a public key": _made("signature", _of_the_public_key),
    "wrong secret and ahead": _made(
        "signature",
        lambda raw, now: token(raw, now=now + timedelta(minutes=10), secret="x" * 44),
    ),
    # Signed by the secret, and yet no token of Vonage's.
    "alg none, signed": _headed("algorithm", alg="none"),
    "alg HS512, signed as HS256": _headed("algorithm", alg="HS512"),
    "alg missing": _headed("algorithm", alg=None),
    "alg a list": _headed("algorithm", alg=["HS256"]),
    "critical header": _headed("token", crit=["exp"], exp=1),
    "critical b64": _headed("algorithm", crit=["b64"], b64=True),
    "detached payload": _headed("token", crit=["b64"], b64=False),
    "b64 false": _headed("token", b64=False),
    "kid a number": _headed("token", kid=7),
    "claims a list": _made("token", lambda raw, now: sign(b"[]")),
    "claims not JSON": _made("token", lambda raw, now: sign(b"{")),
    "claims not UTF-8": _made("token", lambda raw, now: sign(b'{"iss":"\xff"}')),
    "claims deep": _made("token", lambda raw, now: sign(_DEEP)),
    "claims of 5,000 digits": _made("token", lambda raw, now: sign(_DIGITS)),
    "no claims": _made("issuer", lambda raw, now: sign(b"{}")),
    # The claims.
    "missing iss": _said("issuer", iss=None),
    "wrong iss": _said("issuer", iss="vonage.example"),
    "iss a list": _said("issuer", iss=["Vonage"]),
    "missing api_key": _said("account", api_key=None),
    "wrong api_key": _said("account", api_key="ffffffff"),
    "api_key a number": _said("account", api_key=12345678),
    "api_key a half character": _said("account", api_key="\ud800"),
    "missing application_id": _said("application", application_id=None),
    "wrong application_id": _said("application", application_id=str(uuid.UUID(int=7))),
    "application_id a number": _said("application", application_id=7),
    "missing payload_hash": _said("body", payload_hash=None),
    "wrong payload_hash": _said("body", payload_hash="0" * 64),
    "payload_hash a list": _said("body", payload_hash=[]),
    "payload_hash not ASCII": _said("body", payload_hash="é" * 64),
    "body changed": Fault(401, "body", _another_body),
    "token of another message": _made("body", lambda raw, now: token(raw + b" ", now=now)),
    "missing jti": _said("jti", jti=None),
    "empty jti": _said("jti", jti=""),
    "jti a number": _said("jti", jti=7),
    "missing iat": _said("iat", iat=None),
    "iat text": _made("iat", lambda raw, now: token(raw, now=now, iat=str(now.timestamp()))),
    "iat true": _said("iat", iat=True),
    "iat NaN": _said("iat", iat=float("nan")),
    "iat Infinity": _said("iat", iat=float("inf")),
    "iat huge": _said("iat", iat=10**400),
    "iat in milliseconds": _made(
        "iat", lambda raw, now: token(raw, now=now, iat=int(now.timestamp() * 1000))
    ),
    "iat 26 h old": _timed("too old", "iat", timedelta(hours=-26)),
    "iat 10 years old": _timed("too old", "iat", timedelta(days=-3652)),
    "iat 0": _said("too old", iat=0),
    "iat 10 min ahead": _timed("clock", "iat", timedelta(minutes=10), status=503),
    "expired": _timed("expired", "exp", timedelta(minutes=-6)),
    "exp text": _said("exp", exp="tomorrow"),
    "exp null": _made("exp", lambda raw, now: sign(claims(raw, now=now) | {"exp": None})),
    "not yet": _timed("not yet", "nbf", timedelta(minutes=6)),
    "nbf a list": _said("nbf", nbf=[1]),
}


@dataclass(frozen=True)
class Post:
    """One webhook as it went out, and what we answered; 0 for no answer."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    answer: int = 0


class Vonage:
    """Posts to a real server as Vonage does: 15 seconds for an answer, then it gives up.

    `now` is a clock such as prefcenter.clock.now. `posts` has every post in order; those
    answered 200 are also in `accepted`, and may not be lost.
    """

    def __init__(
        self, host: str, port: int, *, now: Callable[[], datetime], secret: str = SECRET
    ) -> None:
        self.host, self.port, self.now, self.secret = host, port, now, secret
        self.host_header = ""  # for a server that answers to its public name alone
        self.posts: list[Post] = []
        self.accepted: list[Post] = []

    def post_inbound(self, text: str | None = "STOP", number: str = ALICE, **more: Any) -> int:
        """Deliver a text; `more` goes to `inbound_body`. Gives the status, 0 for no answer."""
        return self.post(INBOUND, inbound_body(text, number=number, **self._timed(more)))

    def post_status(self, status: str, **more: Any) -> int:
        """Deliver a receipt; `more` goes to `status_body`."""
        return self.post(STATUS, status_body(status, **self._timed(more)))

    def _timed(self, more: dict[str, Any]) -> dict[str, Any]:
        return {"at": self.now()} | more

    def post(self, path: str, raw: bytes) -> int:
        """Deliver any body, signed now."""
        signed = headers(raw, now=self.now(), secret=self.secret)
        return self.send(path, list(signed.items()), raw)

    def repeat(self, post: Post, *, sign_again: bool = False) -> int:
        """The same post once more: byte for byte, or with a new token (nobody knows which)."""
        if sign_again:
            return self.post(post.path, post.body)
        return self.send(post.path, list(post.headers), post.body)

    def send(self, path: str, pairs: Headers, raw: bytes) -> int:
        """One POST with exactly these headers, good or bad."""
        post = Post(path, tuple(pairs), raw, self._answer(path, pairs, raw))
        self.posts.append(post)
        if post.answer == 200:
            self.accepted.append(post)
        return post.answer

    def _answer(self, path: str, pairs: Headers, raw: bytes) -> int:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=15)
        try:
            connection.putrequest("POST", path, skip_host=bool(self.host_header))
            named = [("Host", self.host_header)] if self.host_header else []
            for name, value in [*named, ("Content-Length", str(len(raw))), *pairs]:
                connection.putheader(name, value)
            connection.endheaders(raw)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
