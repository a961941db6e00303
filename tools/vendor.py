"""Fetch the front-end files we serve ourselves, with their licences and checksums.

Run by a maintainer only (`python3 tools/vendor.py`, needs npm); nothing is fetched when the
app runs or is tested. To move to another version: change PACKAGES, run this, read the
changes, run the tests.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "static" / "vendor"

# npm name, version, {file in the package: name in static/vendor}
PACKAGES = [
    (
        "htmx.org",
        "4.0.1",
        {"dist/htmx.min.js": "htmx-4.0.1.min.js", "LICENSE": "htmx-4.0.1.LICENSE"},
    ),
]


def fetch(name: str, version: str, files: dict[str, str]) -> None:
    """Copy the named files out of the package as npm publishes it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", "--pack-destination", folder, f"{name}@{version}"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        [archive] = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package:
            for source, target in files.items():
                content = package.extractfile(f"package/{source}")
                if content is None:
                    raise SystemExit(f"{name} {version} has no file {source}.")
                (VENDOR / target).write_bytes(content.read())


def versions() -> str:
    """The text of VERSIONS: one line a file with its SHA-256, package and version."""
    lines = ["# Written by tools/vendor.py: sha256, file, package, version."]
    for name, version, files in PACKAGES:
        for target in files.values():
            digest = hashlib.sha256((VENDOR / target).read_bytes()).hexdigest()
            lines.append(f"{digest}  {target}  {name}  {version}")
    return "\n".join(lines) + "\n"


def main() -> None:
    VENDOR.mkdir(parents=True, exist_ok=True)
    for name, version, files in PACKAGES:
        fetch(name, version, files)
    (VENDOR / "VERSIONS").write_text(versions(), encoding="utf-8")
    sys.stdout.write(versions())


if __name__ == "__main__":
    main()
