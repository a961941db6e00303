"""One POST to an address that an owner typed: never into our own network, never for long (SSRF)."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from prefcenter.sms import posting
from prefcenter.sms.posting import Answer, RefusedAddress
from tests.receiver import Receiver, authority

GETADDRINFO = socket.getaddrinfo
BODY = b'{"type":"webhook.ping"}'


@pytest.fixture
def crm() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def refused(url: str, *, local: bool = False) -> str:
    with pytest.raises(RefusedAddress) as error:
        posting.target_of(url, local=local)
    return error.value.reason


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name has these addresses."""

    def ask(_host: str, port: int, *more: Any, **named: Any) -> list[tuple[Any, ...]]:
        return [row for one in addresses for row in GETADDRINFO(one, port, *more, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", ask)


# --- where it may go

INSIDE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.0.8",
    "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "192.88.99.1", "224.0.0.1",
    "239.1.2.3", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8",
    "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "2001:db8::1",
    "2001:10::1", "2001:0:7f00:1::", "2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1",
    "3fff::1", "5f00::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8",
]  # fmt: skip
OUTSIDE = [
    "8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111",
    "2a00:1450:4001:80b::200e", "64:ff9b::808:808",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_no_address_inside_is_posted_to(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """As it is typed, and as what a name leads to, alone or beside a public one."""
    host = f"[{address}]" if ":" in address else address
    assert refused(f"https://{host}/hook") == "private"
    for found in ([address], ["8.8.8.8", address], [address, "8.8.8.8"]):
        names(monkeypatch, *found)
        assert refused("https://crm.example.com/hook") == "private"


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_public_may_be_posted_to(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    names(monkeypatch, address)
    target = posting.target_of("https://crm.example.com:8443/hook?key=1")
    assert (target.host, target.port, target.path) == ("crm.example.com", 8443, "/hook?key=1")
    assert target.addresses == (address,)


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "localhost"]
)
def test_the_other_spellings_of_this_machine_are_refused(host: str) -> None:
    assert refused(f"https://{host}/") in ("private", "name")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "address"), ("crm.example.com", "address"), ("https://", "address"),
        ("https:///hook", "address"), ("https://[::1", "address"), ("https://x:0/", "address"),
        ("https://x:99999/", "address"), ("https://x:a/", "address"), ("https://x y/", "address"),
        ("https://münchen.example/", "address"), ("https://x/\n", "address"),
        ("https://x/\r\nHost: y", "address"), ("https://x\\@y/", "address"),
        ("https://[fe80::1%25eth0]/", "address"), ("https://x/é", "address"),
        ("http://crm.example.com/", "https"), ("ftp://crm.example.com/", "https"),
        ("file:///etc/passwd", "address"), ("gopher://crm.example.com/", "https"),
        ("https://me:pass@crm.example.com/", "extras"), ("https://@crm.example.com/", "extras"),
        ("https://crm.example.com/#x", "extras"), ("https://crm.example.com/" + "x" * 500, "long"),
        ("https://crm.example.com:22/", "port"), ("https://crm.example.com:25/", "port"),
        ("https://crm.example.com:80/", "port"),
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    names(monkeypatch, "8.8.8.8")
    assert refused(url) == reason
    assert posting.REFUSALS[reason]


def test_in_development_this_machine_is_allowed_and_the_rest_of_the_network_is_not() -> None:
    assert posting.target_of("http://127.0.0.1:9000/", local=True).port == 9000
    assert posting.target_of("http://[::1]:80/", local=True).addresses == ("::1",)
    assert posting.target_of("https://localhost:25/", local=True).secure
    for url in ("http://10.0.0.1/", "http://192.168.1.1/", "http://169.254.169.254/"):
        assert refused(url, local=True) == "https"
    assert refused("https://10.0.0.1/", local=True) == "private"
    assert refused("http://8.8.8.8/", local=True) == "https", "never in the clear to strangers"


def test_a_name_that_changes_its_mind_gains_nothing(
    monkeypatch: pytest.MonkeyPatch, crm: Receiver
) -> None:
    """DNS rebinding: asked once for each POST, and connected to what was checked."""
    answers = [["8.8.8.8"], ["127.0.0.1"]]
    went: list[tuple[str, int]] = []

    def ask(_host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(None, None, 6, "", (one, port)) for one in answers.pop(0)]

    def connect(address: tuple[str, int], **_: object) -> socket.socket:
        went.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    monkeypatch.setattr(socket, "create_connection", connect)
    url = f"https://rebind.example:{crm.port}/"
    assert posting.post(url, BODY, {}).error == "It refuses the connection."
    assert "private network" in posting.post(url, BODY, {}).error
    assert went == [("8.8.8.8", crm.port)]
    assert crm.told == []


def test_a_name_that_nobody_knows_or_answers_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused("https://nobody.invalid/") == "name"
    held = threading.Event()

    def ask(*_: object, **__: object) -> list[object]:
        held.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    monkeypatch.setattr(posting, "NAME_SECONDS", 0.05)
    assert refused("https://slow.example/") == "name"
    held.set()


# --- what comes back


def test_it_is_one_post_with_its_headers_and_its_body(crm: Receiver) -> None:
    answer = posting.post(crm.url + "?a=b", BODY, {"webhook-id": "1"}, local=True)
    assert answer == Answer(204)
    assert answer.taken and not answer.gone
    [told] = crm.told
    assert (told.path, told.raw) == ("/hook?a=b", BODY)
    assert told.headers["host"] == f"127.0.0.1:{crm.port}"
    assert told.headers["webhook-id"] == "1"
    assert told.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("200", Answer(200)),
        ("299", Answer(299)),
        ("500", Answer(500, "It answered 500.")),
        ("404", Answer(404, "It answered 404.")),
        ("410", Answer(410, "It answered 410.")),
        ("429 Retry-After: 60", Answer(429, "It answered 429.", 60)),
        ("503 Retry-After: 99999999", Answer(503, "It answered 503.", 3600)),
        ("503 Retry-After: -1", Answer(503, "It answered 503.")),
        ("503 Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", Answer(503, "It answered 503.")),
        ("500 Retry-After: 60", Answer(500, "It answered 500.")),
        ("drop", Answer(0, "The connection failed (RemoteDisconnected).")),
    ],
)
def test_what_it_answers_is_put_into_few_words(crm: Receiver, said: str, answer: Answer) -> None:
    crm.answers = [said]
    assert posting.post(crm.url, BODY, {}, local=True) == answer
    assert answer.gone == (said == "410")


def test_a_redirect_is_not_followed(crm: Receiver) -> None:
    with Receiver() as other:
        for status in ("301", "302", "303", "307", "308"):
            crm.answers = [f"{status} Location: {other.url}"]
            answer = posting.post(crm.url, BODY, {}, local=True)
            assert answer.error == f"It answered {status}, a redirect, which is not followed."
        assert other.told == []
    assert len(crm.told) == 5


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    answer = posting.post(f"http://127.0.0.1:{port}/", BODY, {}, local=True)
    assert answer == Answer(0, "It refuses the connection.")


def test_the_other_addresses_of_a_name_are_tried(
    monkeypatch: pytest.MonkeyPatch, crm: Receiver
) -> None:
    names(monkeypatch, "127.0.0.2", "127.0.0.1")
    assert posting.post(f"http://crm.test:{crm.port}/", BODY, {}, local=True).taken
    assert crm.told[0].headers["host"] == f"crm.test:{crm.port}"


@pytest.mark.parametrize("how", ["drip", "flood"])
def test_an_answer_without_end_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, crm: Receiver, how: str
) -> None:
    """One deadline for all of it, and little is read: a byte now and then buys no time."""
    monkeypatch.setattr(posting, "SECONDS", 0.4 if how == "drip" else 10)
    crm.answers = [how]
    began = time.monotonic()
    answer = posting.post(crm.url, BODY, {}, local=True)
    assert not answer.taken
    assert time.monotonic() - began < 3
    assert ("in time" in answer.error) == (how == "drip"), answer


def test_a_peer_that_says_nothing_at_all_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheme in ("http", "https"):  # in TLS it is the handshake that never comes
            url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/"
            assert posting.post(url, BODY, {}, local=True).error == "It did not answer in time."


# --- TLS


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    made, file = authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", file)
    return made


def test_a_certificate_that_is_good(trusted: trustme.CA) -> None:
    with Receiver(trusted.issue_cert("localhost")) as crm:
        assert posting.post(crm.url, BODY, {}, local=True) == Answer(204)
        assert crm.told[0].raw == BODY


def test_a_certificate_of_somebody_else_or_of_nobody_is_refused(trusted: trustme.CA) -> None:
    for certificate in (
        trusted.issue_cert("other.example"),
        trustme.CA().issue_cert("localhost"),
    ):
        with Receiver(certificate) as crm:
            answer = posting.post(crm.url, BODY, {}, local=True)
            assert answer.error.startswith("Its certificate is not valid: "), answer
            assert crm.told == []


def test_plain_http_at_a_port_for_tls(crm: Receiver) -> None:
    answer = posting.post(f"https://127.0.0.1:{crm.port}/", BODY, {}, local=True)
    assert answer.error in ("It does not speak TLS as it should.",) or "failed" in answer.error
    assert crm.told == [] or crm.told[0].raw != BODY
