"""The real SDK over real TLS to the stand-in: one POST a text, whatever goes wrong."""

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from prefcenter.config import ConfigError
from prefcenter.models import TextKind
from prefcenter.sms import codes
from prefcenter.sms.sender import Outcome, Parcel, Verdict
from prefcenter.sms.vonage import BY_STATUS, VonageSender
from tests.standin import Standin, application_key

PRIVATE, PUBLIC = application_key()
PARCEL = Parcel("ref-1", "+12025550143", "+12025550100", "Marlow Books: hello", TextKind.HELP)


@pytest.fixture
def vonage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    with Standin(tmp_path, public_key=PUBLIC) as standin:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(standin.ca))
        yield standin


@pytest.fixture
def sender(vonage: Standin) -> Iterator[VonageSender]:
    sender = VonageSender(
        application_id="app-1", private_key=PRIVATE, api_host=vonage.host, timeout=1
    )
    yield sender
    sender._client().http_client._session.close()


def test_a_text_is_one_post_as_vonage_wants_it(vonage: Standin, sender: VonageSender) -> None:
    verdict = sender.send(PARCEL)
    assert verdict.outcome is Outcome.SENT and verdict.message_id
    [seen] = vonage.requests
    assert (seen["method"], seen["path"]) == ("POST", "/v1/messages")
    assert seen["jwt"]["application_id"] == "app-1"
    assert seen["body"] == {
        "to": "12025550143",
        "from": "12025550100",
        "text": "Marlow Books: hello",
        "client_ref": "ref-1",
        "channel": "sms",
        "message_type": "text",
    }


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("401", Outcome.PAUSE),
        ("402", Outcome.PAUSE),
        ("403", Outcome.PAUSE),
        ("404", Outcome.PAUSE),
        ("422", Outcome.FAILED),
        ("422-1240", Outcome.FAILED),
        ("422-1120", Outcome.PAUSE),
        ("422-1460", Outcome.PAUSE),
        ("422-1030", Outcome.UNKNOWN),
        ("403-throttled", Outcome.RETRY),
        ("400-low-balance", Outcome.PAUSE),
        ("400", Outcome.FAILED),
        ("409", Outcome.UNKNOWN),
        ("429", Outcome.RETRY),
        ("429-1000", Outcome.RETRY),
        ("500-after-accepting", Outcome.UNKNOWN),
        ("503", Outcome.UNKNOWN),
        ("503-1000", Outcome.UNKNOWN),
        ("301", Outcome.PAUSE),
        ("rubbish", Outcome.UNKNOWN),
        ("no-id", Outcome.UNKNOWN),
        ("cut", Outcome.UNKNOWN),
        ("hang", Outcome.UNKNOWN),
        ("accept-and-drop", Outcome.UNKNOWN),
        ("accept-and-reset", Outcome.UNKNOWN),
        ("redirect-307", Outcome.PAUSE),
    ],
)
def test_each_failure_is_one_post_and_one_verdict(
    vonage: Standin, sender: VonageSender, mode: str, outcome: Outcome
) -> None:
    """REL-5, REL-6: the SDK as shipped makes ten POSTs of accept-and-drop."""
    vonage.mode = mode
    assert sender.send(PARCEL).outcome is outcome
    assert len(vonage.requests) == 1


def test_a_dropped_keep_alive_connection_does_not_lose_the_next_text(
    vonage: Standin, sender: VonageSender
) -> None:
    vonage.modes = ["accept", "accept-and-drop", "accept"]
    verdicts = [sender.send(PARCEL).outcome for _ in range(3)]
    assert verdicts == [Outcome.SENT, Outcome.UNKNOWN, Outcome.SENT]


def test_too_many_requests_waits_as_long_as_vonage_says(
    vonage: Standin, sender: VonageSender
) -> None:
    vonage.mode = "429"
    verdict = sender.send(PARCEL)
    assert verdict == Verdict(
        Outcome.RETRY, "too many requests", retry_after=7.0, code=codes.THROTTLED
    )
    assert codes.of(verdict.code).too_fast


@pytest.mark.parametrize(
    ("mode", "seconds"), [("429-date", 3600.0), ("429-past", 1.0), ("429-odd", None)]
)
def test_a_wait_may_be_a_date_and_is_an_hour_at_most(
    vonage: Standin, sender: VonageSender, mode: str, seconds: float | None
) -> None:
    vonage.mode = mode
    assert sender.send(PARCEL).retry_after == seconds


def test_an_opt_out_that_only_vonage_knows_is_named(vonage: Standin, sender: VonageSender) -> None:
    """RULE-54."""
    vonage.mode = "422-1240"
    verdict = sender.send(PARCEL)
    assert verdict == Verdict(Outcome.FAILED, "opted out at the provider", code="1240")
    assert codes.of(verdict.code).opted_out


def test_a_code_in_a_5xx_counts_for_nothing(vonage: Standin, sender: VonageSender) -> None:
    vonage.mode = "503-1240"
    assert sender.send(PARCEL) == Verdict(Outcome.UNKNOWN, "http 503")


def test_one_digit_in_an_answer_is_not_a_receipts_code(
    vonage: Standin, sender: VonageSender
) -> None:
    """9 is an empty account in one list of Vonage and an opt-out in the other."""
    vonage.mode = "422-9"
    assert sender.send(PARCEL) == Verdict(Outcome.FAILED, "refused as invalid")


def test_every_reason_fits_its_column() -> None:
    for _outcome, reason in BY_STATUS.values():
        assert 0 < len(reason) <= 80


def test_nobody_there_is_surely_not_sent(vonage: Standin, sender: VonageSender) -> None:
    nobody = VonageSender(application_id="a", private_key=PRIVATE, api_host="localhost:9")
    assert nobody.send(PARCEL).outcome is Outcome.RETRY
    no_name = VonageSender(application_id="a", private_key=PRIVATE, api_host="no.invalid")
    assert no_name.send(PARCEL).outcome is Outcome.RETRY


def test_a_certificate_we_do_not_trust_pauses_everything(
    vonage: Standin, sender: VonageSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ssl.get_default_verify_paths().openssl_cafile)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert sender.send(PARCEL).outcome is Outcome.PAUSE
    assert vonage.requests == []


def test_a_plain_port_pauses_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """No handshake, so nothing has left."""
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            with plain.accept()[0] as connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        host = f"localhost:{plain.getsockname()[1]}"
        plainly = VonageSender(application_id="a", private_key=PRIVATE, api_host=host, timeout=1)
        assert plainly.send(PARCEL).outcome is Outcome.PAUSE
        thread.join()


def test_missing_certificates_pause_everything(
    vonage: Standin, sender: VonageSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    verdict = sender.send(PARCEL)
    assert verdict.outcome is Outcome.PAUSE and "REQUESTS_CA_BUNDLE" in verdict.reason
    assert vonage.requests == []


def test_a_netrc_file_does_not_replace_the_token(
    vonage: Standin, sender: VonageSender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine localhost login mallory password x")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    sender.send(PARCEL)
    [seen] = vonage.requests
    assert seen["headers"]["authorization"].startswith("Bearer ")


def test_nothing_personal_is_logged(
    vonage: Standin, sender: VonageSender, caplog: pytest.LogCaptureFixture
) -> None:
    """SEC-7: the SDK's own log would hold number, text and token."""
    with caplog.at_level(logging.DEBUG):
        for mode in ("accept", "422-1240", "no-id", "accept-and-drop"):
            vonage.mode = mode
            sender.send(PARCEL)
    token = vonage.requests[0]["headers"]["authorization"].removeprefix("Bearer ")
    for secret in (PARCEL.to[1:], PARCEL.body, token):
        assert secret not in caplog.text
    assert PARCEL.to not in repr(PARCEL) and PARCEL.body not in repr(PARCEL)


@pytest.mark.parametrize("to", ["12025550143", "+1202٥550143", "+1", "+1202555014x"])
def test_what_is_no_number_never_leaves(vonage: Standin, sender: VonageSender, to: str) -> None:
    parcel = Parcel("r", to, PARCEL.sender, "hello", TextKind.HELP)
    assert sender.send(parcel).outcome is Outcome.FAILED
    assert vonage.requests == []


@pytest.mark.parametrize("body", ["", "x" * 1001])
def test_an_empty_or_endless_text_never_leaves(
    vonage: Standin, sender: VonageSender, body: str
) -> None:
    """RULE-55."""
    parcel = Parcel("r", PARCEL.to, PARCEL.sender, body, TextKind.HELP)
    assert sender.send(parcel).outcome is Outcome.FAILED
    assert vonage.requests == []


def test_eight_threads_send_with_a_token_each(vonage: Standin, sender: VonageSender) -> None:
    outcomes: list[Outcome] = []

    def work() -> None:
        outcomes.extend(sender.send(PARCEL).outcome for _ in range(5))
        sender._client().http_client._session.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [Outcome.SENT] * 40
    assert len({seen["jwt"]["jti"] for seen in vonage.requests}) == 40
    assert vonage.handshakes <= 8


def test_the_key_is_parsed_once_and_handed_to_the_sdk(sender: VonageSender) -> None:
    """The SDK as shipped parses it for each text: 23 a second, below Vonage's own rate."""
    auth = sender._client().http_client.auth
    assert auth._jwt_client._private_key is sender._key
    token = auth.generate_application_jwt().decode()
    assert jwt.decode(token, PUBLIC, algorithms=["RS256"])["application_id"] == "app-1"


def _pkcs1() -> str:
    key = serialization.load_pem_private_key(PRIVATE.encode(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


@pytest.mark.parametrize(
    "form", [PRIVATE, PRIVATE.replace("\n", "\\n"), _pkcs1()], ids=["pem", "escaped", "pkcs1"]
)
def test_the_key_may_come_as_people_have_it(form: str) -> None:
    VonageSender(application_id="a", private_key=form, api_host="localhost:9")


def test_the_key_may_be_a_file_without_an_ending(tmp_path: Path) -> None:
    (tmp_path / "vonage").write_text(PRIVATE)
    VonageSender(application_id="a", private_key=str(tmp_path / "vonage"), api_host="localhost:9")


@pytest.mark.parametrize("key", ["rubbish", "-----BEGIN PRIVATE KEY-----\nx", "/no/such/file"])
def test_a_key_that_cannot_be_read_names_the_setting(key: str) -> None:
    with pytest.raises(ConfigError, match="PREFCENTER_VONAGE_PRIVATE_KEY"):
        VonageSender(application_id="a", private_key=key, api_host="localhost:9")


def test_a_key_of_another_kind_is_refused_at_start() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(ConfigError, match="not an RSA key"):
        VonageSender(application_id="a", private_key=key.decode(), api_host="localhost:9")


def test_a_host_with_a_scheme_is_refused_at_start() -> None:
    with pytest.raises(ConfigError, match="PREFCENTER_VONAGE_API_HOST"):
        VonageSender(application_id="a", private_key=PRIVATE, api_host="https://api.nexmo.com")
