"""A certificate can be checked without us; that it is ours, our admin log confirms."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from prefcenter.consent import audit, ledger, people
from prefcenter.consent.ledger import canonical
from prefcenter.database import db, writing
from prefcenter.upkeep import belongings, certificate, erasure
from prefcenter.upkeep.certificate_check import examine
from tests import terminal
from tests.cast import ALICE, CAROL, Town
from tests.conftest import Clock
from tests.phones import say
from tests.staff_room import dana_owner, press
from tests.terminal import Run

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Content = dict[str, Any]


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


def busy_alice(town: Town, now: Clock) -> None:
    """A history with every sort of evidence: forms, buttons, texts in two alphabets."""
    link = town.alice()
    now.forward(days=1)
    town.browser.post(link, data={"shown": ["offers", "events"], "categories": ["events"]})
    now.forward(days=1)
    say(town, "STOP 🙏 “per favore”")
    now.forward(days=1)
    say(town, "START")


def issue(town: Town, number: str = ALICE) -> certificate.Certificate:
    person = belongings.person_of(town.person(number).public_id)
    assert person is not None
    return certificate.issue(person, by="dana", reason="She asked.", now=town.now())


@pytest.fixture
def alices(town: Town, now: Clock) -> bytes:
    busy_alice(town, now)
    return issue(town).file


def again(data: bytes, change: Callable[[Content], object]) -> bytes:
    """The file of a forger who knows how we spell it and makes the outer hash fit."""
    content = json.loads(data)["certificate"]
    change(content)
    return certificate.Certificate(content).file


def test_it_is_whole_and_says_what_the_ledger_says(town: Town, alices: bytes) -> None:
    faults, told = examine(alices)
    alice = town.person(ALICE)
    assert faults == []
    assert told and (told.person, told.seq, told.head) == (
        alice.public_id,
        alice.ledger_seq,
        alice.ledger_head,
    )


def test_it_has_the_fields_of_a_consent_receipt(town: Town, alices: bytes) -> None:
    """RULES vocabulary: Kantara 1.1."""
    content = json.loads(alices)["certificate"]
    back = next(e for e in content["events"] if e["kind"] == "restarted")
    assert content["version"] == "KI-CR-v1.1.0"
    assert content["jurisdiction"] == "US"
    assert content["consentTimestamp"] == int(
        certificate.datetime.fromisoformat(back["at"]).timestamp()
    )
    assert content["collectionMethod"] == "sms START"
    assert len(content["consentReceiptID"]) == 36
    assert content["language"] == "en"
    assert content["piiPrincipalId"] == ALICE
    assert content["piiControllers"][0]["piiController"] == "Marlow Books"
    assert content["policyUrl"] == "http://prefs.test/privacy"
    [purpose] = content["services"][0]["purposes"]
    assert (purpose["purpose"], purpose["consentType"]) == ("Events near you", "EXPLICIT")
    assert content["sensitive"] is False
    assert (content["issuedBy"], content["issuedFor"]) == ("dana", "She asked.")
    kinds = [event["kind"] for event in content["events"]]
    assert kinds == ["requested", "confirmed", "changed", "revoked", "restarted"]
    [signup, confirm] = sorted(content["wordings"], key=lambda one: str(one["kind"]), reverse=True)
    assert "recurring automated marketing texts" in signup["text"]
    assert "By pressing" in confirm["text"]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value in a document."""
    if isinstance(value, dict):
        return [leaf for key in value for leaf in leaves(value[key], (*path, key))]
    if isinstance(value, list):
        return [leaf for index, one in enumerate(value) for leaf in leaves(one, (*path, index))]
    return [path]


@on_sqlite
def test_every_single_byte_counts(alices: bytes) -> None:
    """Each byte of the file in turn, one bit or the case of a letter changed."""
    for place in range(len(alices)):
        changed = bytearray(alices)
        changed[place] ^= 0x01
        assert examine(bytes(changed))[0], f"byte {place}"
    dice = random.Random(5)
    for place in dice.sample(range(len(alices)), 500):
        for other in (0x00, 0x20, 0x22, 0xFF, alices[place] ^ 0x20):
            if other != alices[place]:
                changed = bytearray(alices)
                changed[place] = other
                assert examine(bytes(changed))[0], (place, other)
    for cut in (
        b"",
        alices[:-1],
        alices[:-2],
        alices[: len(alices) // 2],
        alices + b"\n",
        b" " + alices,
    ):
        assert examine(cut)[0]


SPELLINGS: dict[str, Callable[[Content], str]] = {
    "indented": lambda whole: json.dumps(whole, indent=2),
    "with spaces": lambda whole: json.dumps(whole),
    "no line end": lambda whole: canonical(whole),
    "another line end": lambda whole: canonical(whole) + "\r\n",
    "a byte order mark": lambda whole: "\ufeff" + canonical(whole) + "\n",
    "escaped": lambda whole: json.dumps(whole, sort_keys=True, separators=(",", ":")) + "\n",
    "a key twice": lambda whole: (
        canonical(whole).replace('"sha256"', '"sha256":"x","sha256"', 1) + "\n"
    ),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_another_spelling_of_the_same_is_not_the_file(alices: bytes, name: str) -> None:
    """Whitespace, order, escapes, keys that come twice: none goes unseen."""
    assert examine(SPELLINGS[name](json.loads(alices)).encode())[0]


def test_a_forger_who_mends_the_outer_hash_is_found_by_the_chain(alices: bytes) -> None:
    """Every value that is hashed by an event, one after the other; the fault names its place."""
    content = json.loads(alices)["certificate"]
    hashed = [p for p in leaves(content) if p[0] in ("events", "wordings", "head", "person")]
    hashed = [
        p for p in hashed if p[-1] not in ("first_shown_at", "kind", "language") or p[0] == "events"
    ]
    assert len(hashed) > 60
    for path in hashed:

        def change(found: Content, path: tuple[Any, ...] = path) -> None:
            for step in path[:-1]:
                found = found[step]
            old = found[path[-1]]
            if isinstance(old, str):
                found[path[-1]] = old[:-1] + ("0" if old[-1:] != "0" else "1")
            else:
                found[path[-1]] = 99 if isinstance(old, int) else "x"

        faults, _told = examine(again(alices, change))
        assert faults, path
        if path[0] == "events":
            assert any(f"event {path[1] + 1}" in fault for fault in faults), (path, faults)


def _remove(place: int) -> Callable[[Content], object]:
    return lambda content: content["events"].pop(place)


def _bare(content: Content) -> None:
    """What an erasure leaves, without an erasure."""
    for event in content["events"]:
        event["evidence"] = None


FORGERIES: dict[str, tuple[Callable[[Content], object], str]] = {
    "the first event is gone": (_remove(0), "event 1 is missing"),
    "one in the middle is gone": (_remove(2), "event 3 is missing"),
    "the last is gone": (_remove(-1), "one is missing at the end"),
    "two changed places": (lambda c: c["events"].insert(0, c["events"].pop()), "prev_hash"),
    "one is there twice": (lambda c: c["events"].append(c["events"][-1]), "prev_hash"),
    "another number": (lambda c: c.update(piiPrincipalId=CAROL), "another number"),
    "another time of consent": (lambda c: c.update(consentTimestamp=1), "consentTimestamp"),
    "another state": (lambda c: c["state"].update(status="unsubscribed"), "state"),
    "more kinds": (lambda c: c["state"].update(categories=["offers", "events"]), "state"),
    "a text is missing": (lambda c: c["wordings"].clear(), "is not in wordings"),
    "a field is missing": (lambda c: c.pop("policyUrl"), "missing or unknown: policyUrl"),
    "a field too many": (lambda c: c.update(stamp="genuine"), "missing or unknown: stamp"),
    "another format": (lambda c: c.update(format="prefcenter certificate 2"), "reads only"),
    "events of another shape": (lambda c: c.update(events={}), "certificate.events"),
    "an event of another shape": (lambda c: c["events"][1].pop("source"), "event 2"),
    "evidence of another shape": (
        lambda c: c["events"][1].update(evidence={"salt": 1, "body": ""}),
        "event 2",
    ),
    "the evidence of one is taken out": (
        lambda c: c["events"][1].update(evidence=None),
        "event 2",
    ),
    "all evidence is taken out, and another number": (
        lambda c: (_bare(c), c.update(piiPrincipalId=CAROL)),
        "evidence is missing",
    ),
    "no number": (lambda c: c.update(piiPrincipalId=None), "another number"),
    "taken in another way": (
        lambda c: c.update(collectionMethod="paper form"),
        "collectionMethod",
    ),
    "in another language": (lambda c: c.update(language="es"), "certificate.language"),
    "not sensitive by another word": (lambda c: c.update(sensitive=0), "sensitive"),
    "signed": (lambda c: c.update(publicKey="key"), "publicKey"),
    "of another receipt": (lambda c: c.update(version="KI-CR-v2"), "certificate.version"),
    "no purposes": (lambda c: c["services"][0]["purposes"].clear(), "certificate.services"),
    "no services": (lambda c: c["services"].clear(), "certificate.services"),
    "a purpose of no name": (
        lambda c: c["services"][0]["purposes"][0].update(purpose={}),
        "certificate.services",
    ),
    "an implied consent": (
        lambda c: c["services"][0]["purposes"][0].update(consentType="IMPLICIT"),
        "certificate.services",
    ),
    "of another brand": (
        lambda c: c["services"][0].update(service="Text messages from Evil"),
        "certificate.services",
    ),
    "no controller": (lambda c: c["piiControllers"].clear(), "certificate.services"),
    "other lines to check it": (
        lambda c: c.update(snippet=["print('whole')"]),
        "certificate.snippet",
    ),
    "other words on how to check it": (lambda c: c.update(howToCheck=[]), "howToCheck"),
    "changes that are no object": (lambda c: c["events"][1].update(changes="[]"), "add up"),
    "changes without end": (lambda c: c["events"][1].update(changes="[" * 9999), "add up"),
    "an unknown kind": (lambda c: c["events"][1].update(kind="granted"), "add up"),
}  # fmt: skip


@on_sqlite
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_named(alices: bytes, name: str) -> None:
    change, words = FORGERIES[name]
    faults, _told = examine(again(alices, change))
    assert any(words in fault for fault in faults), faults


@pytest.mark.parametrize(
    "data",
    [b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"certificate":[],"sha256":1}', b"1" * 9999]
)  # fmt: skip
def test_what_is_no_certificate_at_all_is_said(data: bytes) -> None:
    faults, told = examine(data)
    assert len(faults) == 1 and told is None


def test_after_erasure_the_bare_chain_still_holds(town: Town, now: Clock) -> None:
    """RULE-63: without the evidence its hashes stay, and each event still follows the last."""
    busy_alice(town, now)
    public_id = town.person(ALICE).public_id
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        erasure.erase(person, by="dana", reason="She asked.", now=now.now())
        db.session.commit()
    erased = belongings.person_of(public_id)
    assert erased is not None
    file = certificate.issue(erased, by="dana", reason="The court.", now=now.now()).file
    assert examine(file)[0] == []
    assert ALICE.encode() not in file
    content = json.loads(file)["certificate"]
    assert content["piiPrincipalId"] is None
    assert [bool(event["evidence"]) for event in content["events"]] == [False] * 5 + [True]
    assert list(audit.faults()) == []


# --- how to check it without us


def test_the_lines_in_the_file_check_it_without_us(
    town: Town, alices: bytes, tmp_path: Path
) -> None:
    """Python alone, started from the text that the certificate itself holds."""
    program, file = tmp_path / "check.py", tmp_path / "certificate.json"
    program.write_text("\n".join(json.loads(alices)["certificate"]["snippet"]) + "\n")

    def check(data: bytes) -> subprocess.CompletedProcess[str]:
        file.write_bytes(data)
        command = [sys.executable, "-I", "-S", str(program), str(file)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    whole = check(alices)
    assert whole.returncode == 0 and whole.stdout.startswith("whole: 5 events"), whole.stderr
    assert json.loads(alices)["sha256"] in whole.stdout
    assert check(alices.replace(b"Marlow", b"Malory")).returncode != 0
    changes = (_remove(2), _remove(-1), lambda c: c["events"][0].update(source="sms"), _bare)
    for change in changes:
        assert check(again(alices, change)).returncode != 0


def test_the_command_needs_no_database_and_no_settings(alices: bytes, tmp_path: Path) -> None:
    """Started as an auditor would, in a folder that has nothing else."""
    file = tmp_path / "certificate.json"
    environ = {"PATH": "/usr/bin:/bin", "PREFCENTER_ENV": "production"}
    command = [sys.executable, "-m", "prefcenter", "verify", "--certificate", str(file)]

    def check(data: bytes) -> tuple[int, str]:
        file.write_bytes(data)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False,
            env=environ, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    assert check(alices) == (0, "The certificate is whole.\n")
    code, said = check(
        again(alices, lambda c: c["events"][1].update(at="2020-01-01T00:00:00+00:00"))
    )
    assert code == 1
    assert said.startswith("event 2 (") and "changed after it was written" in said


def taken(town: Town) -> bytes:
    """Alice's certificate as Dana takes it."""
    path = f"/admin/people/{town.person(ALICE).public_id}/certificate.json"
    answer = press(dana_owner(town), path, {"reason": "She asked."})
    assert answer.status_code == 200
    return answer.data


OUR_WORD: dict[str, Callable[[Content], object]] = {
    "another purpose": lambda c: c["services"][0]["purposes"][0].update(purpose="Loans"),
    "another policy": lambda c: c.update(policyUrl="https://evil.example"),
    "another country": lambda c: c.update(jurisdiction="GB"),
    "shown earlier": lambda c: c["wordings"][0].update(first_shown_at="2020-01-01T00:00:00+00:00"),
    "issued by another": lambda c: c.update(issuedBy="mallory"),
}


@on_sqlite
@pytest.mark.parametrize("name", OUR_WORD)
def test_what_no_event_says_only_the_issuer_can_confirm(
    town: Town, now: Clock, run: Run, tmp_path: Path, name: str
) -> None:
    """No hash without a key tells who made a file; the admin log does."""
    busy_alice(town, now)
    genuine = taken(town)
    forged = again(genuine, OUR_WORD[name])
    file = tmp_path / "certificate.json"
    file.write_bytes(forged)
    assert run("verify", "--certificate", str(file)).exit_code == 0, "it fits by itself"
    result = run("verify", "--certificate", str(file), "--against-database")
    assert result.exit_code == 1 and result.output.startswith("sha256: the admin log"), result
    file.write_bytes(genuine)
    assert run("verify", "--certificate", str(file), "--against-database").exit_code == 0


def test_against_the_database(town: Town, now: Clock, run: Run, tmp_path: Path) -> None:
    """A genuine file stays right when more has happened since; a foreign one is found out."""
    busy_alice(town, now)
    alices = taken(town)
    file = tmp_path / "certificate.json"
    file.write_bytes(alices)
    both = ("verify", "--certificate", str(file), "--against-database")
    result = run(*both)
    assert (result.exit_code, result.output) == (
        0,
        "The certificate is whole. It is as it was issued, and the ledger says the same.\n",
    )
    now.forward(hours=1)
    say(town, "STOP")
    assert run(*both).exit_code == 0
    assert json.loads(run(*both, "--json").output) == {"ok": True, "faults": []}

    def as_another(content: Content) -> None:
        content["person"] = "A" * 22

    file.write_bytes(again(alices, as_another))
    result = run(*both)
    assert result.exit_code == 1 and "has no such person" in result.output

    def shorter(content: Content) -> None:
        """A chain of the same person that the ledger does not know."""
        first = content["events"][0]
        content["events"] = [first]
        first["source_detail"] = "elsewhere"
        said = {name: first[name] for name in certificate.HASHED if name != "hash"}
        said |= {"format": 1, "person": content["person"]}
        first["hash"] = ledger.wording_sha256(canonical(said))
        content["head"] = {"seq": 1, "hash": first["hash"]}
        content["state"].update(status="pending", categories=[])
        content.update(consentTimestamp=None, collectionMethod=None)
        content["services"][0]["purposes"] = []

    file.write_bytes(again(alices, shorter))
    assert run("verify", "--certificate", str(file)).exit_code == 0, "it fits by itself"
    result = run(*both)
    assert result.exit_code == 1 and "event 1: the ledger has another one" in result.output


@on_sqlite
def test_the_command_says_what_it_needs(run: Run, tmp_path: Path) -> None:
    result = run("verify", "--certificate", str(tmp_path / "none.json"))
    assert result.exit_code == 1 and "cannot be read: No such file" in result.output
    assert run("verify", "--against-database").exit_code == 2
    assert run("verify").output == "The proof is whole.\n"
