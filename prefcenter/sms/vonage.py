"""The only module that speaks to Vonage: Messages API v1, through its SDK.

Measured, and each guarded by a test: the SDK as shipped repeats a POST whose connection
breaks up to ten times (`pool_maxsize=1` stops it), waits for ever on a silent server
(`timeout`), follows a 307 with the whole body, and parses the private key again for each
text (23 a second; the parsed key is handed to it once).
"""

import logging
import re
import ssl
import threading
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import requests
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
)
from urllib3.exceptions import SSLError as URLLib3SSLError
from vonage_http_client import Auth, HttpClient, HttpClientOptions
from vonage_http_client.errors import HttpRequestError
from vonage_messages import Messages, Sms
from vonage_utils.errors import VonageError

from prefcenter import clock
from prefcenter.config import ConfigError
from prefcenter.sms import codes
from prefcenter.sms.sender import Outcome, Parcel, Verdict

TIMEOUT_SECONDS = 10  # to connect, and again for each read
MAX_CHARACTERS = 1000
_LONGEST_WAIT = 3600.0
_DIGITS = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9-]{1,64}\Z")

# What an HTTP status means for the text. Whatever is not here leaves doubt: unknown.
BY_STATUS: dict[int, tuple[Outcome, str]] = {
    301: (Outcome.PAUSE, "Vonage's address redirects elsewhere"),
    302: (Outcome.PAUSE, "Vonage's address redirects elsewhere"),
    307: (Outcome.PAUSE, "Vonage's address redirects elsewhere"),
    308: (Outcome.PAUSE, "Vonage's address redirects elsewhere"),
    400: (Outcome.FAILED, "bad request"),
    401: (Outcome.PAUSE, "Vonage does not accept our key (401)"),
    402: (Outcome.PAUSE, "the Vonage account has no credit (402)"),
    403: (Outcome.PAUSE, "Vonage forbids this account to send (403)"),
    404: (Outcome.PAUSE, "Vonage does not know this address (404)"),
    405: (Outcome.PAUSE, "Vonage does not take messages at this address (405)"),
    407: (Outcome.PAUSE, "a proxy wants a password (407)"),
    413: (Outcome.FAILED, "too long"),
    415: (Outcome.FAILED, "wrong content type"),
    422: (Outcome.FAILED, "refused as invalid"),
    429: (Outcome.RETRY, "too many requests"),
    451: (Outcome.PAUSE, "Vonage may not serve this place (451)"),
}

# urllib3's ways to say that nothing has left this machine.
_NEVER_LEFT = (NewConnectionError, NameResolutionError, ConnectTimeoutError, ProxyError)
# OpenSSL's reasons that end a handshake, so before the request. Another may come after it.
_NO_HANDSHAKE = {
    "CERTIFICATE_VERIFY_FAILED",
    "NO_CERTIFICATE_OR_CRL_FOUND",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "WRONG_VERSION_NUMBER",
}


class VonageSender:
    """Sends through the Vonage SDK, one client per thread. Raises ConfigError for a bad key."""

    def __init__(
        self,
        *,
        application_id: str,
        private_key: str,
        api_host: str,
        timeout: int = TIMEOUT_SECONDS,
    ) -> None:
        if "://" in api_host:
            raise ConfigError(
                "PREFCENTER_VONAGE_API_HOST must be a host such as api.nexmo.com; leave out what"
                " stands before ://, the SDK always speaks https."
            )
        # At DEBUG it prints number, text and token, at WARNING the answer of Vonage (SEC-7).
        logging.getLogger("vonage").setLevel(logging.ERROR)
        self._application_id = application_id
        self._key = _read_key(private_key)
        self._host = api_host
        self._timeout = timeout
        self._of_thread = threading.local()
        try:
            self._client().http_client.auth.generate_application_jwt()
        except Exception as error:
            raise ConfigError(
                "PREFCENTER_VONAGE_PRIVATE_KEY cannot sign; use the RSA private key of the"
                " Vonage application, as PEM text or the path of its file."
            ) from error

    def send(self, parcel: Parcel) -> Verdict:
        """One POST to /v1/messages. Never raises; doubt is UNKNOWN, never a second POST."""
        if not (_DIGITS.match(parcel.to) and _DIGITS.match(parcel.sender)):
            return Verdict(Outcome.FAILED, "not a number")
        if not 0 < len(parcel.body) <= MAX_CHARACTERS:
            return Verdict(Outcome.FAILED, "empty or too long")
        try:
            answer = self._client().send(
                Sms(
                    to=parcel.to[1:],
                    from_=parcel.sender[1:],
                    text=parcel.body,
                    client_ref=parcel.ref,
                )
            )
        except HttpRequestError as error:
            return _refused(error.response)
        except requests.RequestException as error:
            return _broken(error)
        except VonageError:  # raised before the request: the token could not be made
            return Verdict(Outcome.PAUSE, "our key cannot sign")
        except Exception as error:
            return _senseless(error)
        if not _MESSAGE_ID.match(answer.message_uuid):
            return Verdict(Outcome.UNKNOWN, "answer without a message id")
        return Verdict(Outcome.SENT, "", message_id=answer.message_uuid)

    def _client(self) -> Any:
        client = getattr(self._of_thread, "client", None)
        if client is None:
            client = self._of_thread.client = self._new_client()
        return client

    def _new_client(self) -> Any:
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        auth = Auth(application_id=self._application_id, private_key=pem.decode())
        auth._jwt_client._private_key = self._key  # parsed once, not once per text
        options = HttpClientOptions(
            api_host=self._host, timeout=self._timeout, pool_maxsize=1, max_retries=0
        )
        http_client = HttpClient(auth, options)
        http_client._session.max_redirects = 0  # a 307 would carry the text elsewhere
        http_client._session.auth = _as_it_is  # a .netrc would replace the token
        return Messages(http_client)


def _read_key(value: str) -> RSAPrivateKey:
    """A PEM key as text, as text with `\\n` written out, or in a file of any name."""
    text = value.replace("\\n", "\n").strip()
    try:
        if not text.startswith("-----BEGIN"):
            text = Path(value).read_text(encoding="ascii")
        key = load_pem_private_key(text.encode(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            "PREFCENTER_VONAGE_PRIVATE_KEY cannot be read; set it to the PEM text of the Vonage"
            " application's private key, or to the path of the file that holds it."
        ) from error
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError(
            "PREFCENTER_VONAGE_PRIVATE_KEY is not an RSA key; download the private key that"
            " Vonage made for the application."
        )
    return key


def _refused(response: requests.Response) -> Verdict:
    """Vonage answered with an error status; its own code, in a 4xx, says more than that."""
    status = response.status_code
    outcome, reason = BY_STATUS.get(status, (Outcome.UNKNOWN, f"http {status}"))
    code = codes.THROTTLED if status == 429 else ""
    if 400 <= status < 500:
        for name in _codes(response):
            if found := codes.in_answer(name):
                outcome, reason, code = found.outcome, found.reason, name
    wait = _retry_after(response) if outcome is Outcome.RETRY else None
    return Verdict(outcome, reason, retry_after=wait, code=code)


def _codes(response: requests.Response) -> tuple[str, str]:
    """What may be the error code of a problem+json answer: from its title, from its type."""
    try:
        problem = response.json()
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(problem, dict):
        return "", ""
    return str(problem.get("title")), str(problem.get("type")).rpartition("#")[2]


def _retry_after(response: requests.Response) -> float | None:
    """Seconds to wait, from either form of the header; an hour at most."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return max(1.0, min(float(value), _LONGEST_WAIT))
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return max(1.0, min((moment - clock.now()).total_seconds(), _LONGEST_WAIT))


def _broken(error: requests.RequestException) -> Verdict:
    """No whole answer came. Only what surely never left may be tried again."""
    cause = _cause(error)
    if isinstance(cause, ssl.SSLError) and cause.reason in _NO_HANDSHAKE:
        return Verdict(Outcome.PAUSE, "the certificate of Vonage's address is not trusted")
    if isinstance(error, requests.TooManyRedirects):
        return Verdict(*BY_STATUS[307])
    if isinstance(error, requests.exceptions.InvalidURL):
        return Verdict(Outcome.PAUSE, "PREFCENTER_VONAGE_API_HOST is not a host")
    if isinstance(error, requests.ConnectionError) and isinstance(cause, _NEVER_LEFT):
        return Verdict(Outcome.RETRY, "no connection")
    return Verdict(Outcome.UNKNOWN, f"broken off ({type(error).__name__})")


def _cause(error: BaseException) -> BaseException:
    """What urllib3 or OpenSSL said, from under the wrapping of requests."""
    inner = error.reason if isinstance(error, MaxRetryError) else next(iter(error.args), None)
    wrapped = isinstance(error, requests.RequestException | MaxRetryError | URLLib3SSLError)
    return _cause(inner) if wrapped and isinstance(inner, BaseException) else error


def _senseless(error: Exception) -> Verdict:
    """A 2xx that makes no sense (TypeError, ValidationError), or no certificates to check by."""
    if type(error) is OSError and "CA certificate bundle" in str(error):
        return Verdict(Outcome.PAUSE, "REQUESTS_CA_BUNDLE names a file that is not there")
    return Verdict(Outcome.UNKNOWN, f"unreadable answer ({type(error).__name__})")


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
