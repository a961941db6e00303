"""The vendored files are the ones their makers published, byte for byte."""

import hashlib
from pathlib import Path

VENDOR = Path(__file__).parent.parent / "static" / "vendor"


def listed() -> dict[str, str]:
    lines = (VENDOR / "VERSIONS").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return {name: digest for digest, name, _package, _version in rows}


def test_every_vendored_file_has_its_published_checksum():
    """SEC-10: assets are self-hosted and pinned."""
    actual = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in VENDOR.iterdir()
        if file.name != "VERSIONS"
    }
    assert actual == listed()


def test_every_vendored_script_has_its_licence_beside_it():
    for script in VENDOR.glob("*.js"):
        assert script.with_name(script.name.replace(".min.js", ".LICENSE")).is_file()
