"""One POST to an address that an owner chose, and to no address inside our own network (SSRF).

The name is resolved once for each POST, every address that it has must be a public one, and the
connection goes to an address that was checked: a name that changes its mind in between gains
nothing. Redirects are not followed. One deadline holds for connecting, TLS, sending and reading
together, and little is read. Certificates are always checked, against the system's authorities
(SSL_CERT_FILE adds one of your own).
"""

import functools
import http.client
import io
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

SECONDS = 15.0  # for one POST, once its name is known
NAME_SECONDS = 5.0  # for that
LONGEST_URL = 500
_A_CONNECT = 5.0
_MOST_READ = 64 * 1024
_LONGEST_WAIT = 3600.0
_LEAST_PORT = 1024  # but for 443: below it speak mail servers and the like

# By reason, for whoever typed the address at a terminal.
REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "address": "Give a whole address, like https://crm.example.com/hook.",
        "long": f"Give an address of at most {LONGEST_URL} characters.",
        "https": "Give an address that starts with https://.",
        "extras": "Leave out name, password and fragment.",
        "port": "Use port 443, or one from 1024 on.",
        "name": "The name of the host cannot be found.",
        "private": "The host is inside a private network, which is never posted to.",
    }
)
_SPECIAL_4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "192.0.0.0/24",  # special uses, among them a cloud's metadata; Python knows only a part
        "192.88.99.0/24",  # relays to 6to4
        "168.63.129.16/32",  # the inside of Azure, at a public address
    )
)
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL_6 = tuple(
    ipaddress.IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")  # the third is 6to4
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # the last 32 bits are IPv4


class RefusedAddress(Exception):
    """This address may not be posted to; `reason` is a key of REFUSALS."""

    def __init__(self, reason: str) -> None:
        super().__init__(REFUSALS[reason])
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Target:
    host: str
    port: int
    path: str
    secure: bool
    addresses: tuple[str, ...]  # those that were checked


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a POST. `error` says why it was not taken; no word of it is the other side's."""

    status: int = 0  # 0: none came
    error: str = ""
    wait: float = 0.0  # seconds after which to come again, where it said so

    @property
    def taken(self) -> bool:
        return not self.error

    @property
    def gone(self) -> bool:
        """It wants no more of these, for ever."""
        return self.status == 410


def target_of(url: str, *, local: bool = False) -> Target:
    """Where a URL leads. Raises RefusedAddress; `local` allows this machine (development)."""
    if len(url) > LONGEST_URL:
        raise RefusedAddress("long")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise RefusedAddress("address")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise RefusedAddress("address") from error
    if not host or "%" in host or not parts.scheme or port == 0:
        raise RefusedAddress("address")
    if parts.scheme not in ("https", *(["http"] if local else [])):
        raise RefusedAddress("https")
    if "@" in parts.netloc or "#" in url:
        raise RefusedAddress("extras")
    secure = parts.scheme == "https"
    port = port or (443 if secure else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    addresses = _addresses(host, port)
    here = local and all(ipaddress.ip_address(one).is_loopback for one in addresses)
    if not here:
        _check_public(addresses, port, secure=secure)
    return Target(host, port, path, secure, addresses)


def post(url: str, body: bytes, headers: Mapping[str, str], *, local: bool = False) -> Answer:
    """POST once. Never raises for what is wrong with the address, the way or the other side."""
    try:
        return _answer(*_post(target_of(url, local=local), body, headers))
    except RefusedAddress as error:
        return Answer(error=str(error))
    except TimeoutError:
        return Answer(error="It did not answer in time.")
    except ssl.SSLCertVerificationError as error:
        return Answer(error=f"Its certificate is not valid: {error.verify_message}."[:120])
    except ssl.SSLError:
        return Answer(error="It does not speak TLS as it should.")
    except ConnectionRefusedError:
        return Answer(error="It refuses the connection.")
    except (OSError, http.client.HTTPException) as error:
        return Answer(error=f"The connection failed ({type(error).__name__}).")


def _answer(status: int, retry_after: str) -> Answer:
    if 200 <= status < 300:
        return Answer(status)
    digits = retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 9
    wait = min(float(retry_after), _LONGEST_WAIT) if digits and status in (429, 503) else 0.0
    moved = ", a redirect, which is not followed" if 300 <= status < 400 else ""
    return Answer(status, f"It answered {status}{moved}.", wait)


def _post(target: Target, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    """The status, and what Retry-After said. Raises OSError or HTTPException."""
    deadline = time.monotonic() + SECONDS
    connection = (_Secure if target.secure else http.client.HTTPConnection)(
        target.host, target.port
    )
    connection.auto_open = 0  # it never connects by itself, to an address that nobody checked
    plain = _connect(target, deadline)
    try:
        sock: socket.socket = plain
        if target.secure:
            plain.settimeout(_left(deadline))
            context = _tls(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
            sock = context.wrap_socket(plain, server_hostname=target.host)
        connection.sock = _Timed(sock, deadline)  # as much of a socket as it uses
        connection.request("POST", target.path, body, {**headers, "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, (answer.getheader("Retry-After") or "").strip()
    finally:
        connection.close()
        plain.close()


class _Secure(http.client.HTTPConnection):
    """Names the port in the Host header as https does; TLS is done before."""

    default_port = 443


@functools.lru_cache(maxsize=2)
def _tls(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Reading all authorities takes longer than a POST."""
    return ssl.create_default_context()


def _connect(target: Target, deadline: float) -> socket.socket:
    """The first address that answers. Raises OSError."""
    last: OSError = TimeoutError()
    for address in target.addresses:
        try:
            return socket.create_connection(
                (address, target.port), timeout=min(_A_CONNECT, _left(deadline))
            )
        except OSError as error:
            last = error
    raise last


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Timed:
    """As much of a socket as http.client uses, with one deadline for all of it: a timeout of the
    socket's own begins anew with each byte."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(_left(self._deadline))
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self._sock, self._deadline))

    def close(self) -> None:
        self._sock.close()


class _Reading(io.RawIOBase):
    """What comes from a socket, until the deadline and no more than so much."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline, self._room = sock, deadline, _MOST_READ

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._room <= 0:
            raise OSError("too long an answer")
        self._sock.settimeout(_left(self._deadline))
        count = self._sock.recv_into(buffer)
        self._room -= count
        return count


def _addresses(host: str, port: int) -> tuple[str, ...]:
    """Every address of a name, each once. A resolver has no timeout of its own, so it is asked
    in a thread that is left behind when it takes too long."""
    found: list[tuple[str, ...] | None] = []

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.append(tuple(dict.fromkeys(str(row[4][0]) for row in rows)))
        except (OSError, UnicodeError):
            found.append(None)

    asking = threading.Thread(target=ask, daemon=True, name="resolve")
    asking.start()
    asking.join(NAME_SECONDS)
    if not found or not found[0]:
        raise RefusedAddress("name")
    return found[0]


def _check_public(addresses: tuple[str, ...], port: int, *, secure: bool) -> None:
    if not secure:
        raise RefusedAddress("https")
    if not all(is_public(one) for one in addresses):
        raise RefusedAddress("private")
    if port != 443 and port < _LEAST_PORT:
        raise RefusedAddress("port")


def is_public(text: str) -> bool:
    """Whether this address can only be somebody else's, out there.

    IPv6 addresses that carry an IPv4 one are refused, but for NAT64, by which a network without
    IPv4 reaches it; there the inner address counts.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        special = any(address in network for network in _SPECIAL_4)
        return address.is_global and not address.is_multicast and not special
    if address in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
    special = any(address in network for network in _SPECIAL_6)
    return address in _UNICAST_6 and address.is_global and not special
