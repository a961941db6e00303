"""The browser that the tests drive, and how it is started.

`python3 dev.py test` installs one where it can. Here it is only looked for: $CHROMIUM, a known
name on the PATH, then the one that Playwright downloaded.
"""

import os
import subprocess
from pathlib import Path

import dev

# No network of its own, and nothing that a container lacks.
ARGUMENTS = (
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Unavailable(Exception):
    """No browser can be driven; the message is the reason, for the skip or the failure."""


def launch_options(*, whole: bool = False) -> dict[str, object]:
    """Arguments for Playwright's `chromium.launch`; raises Unavailable.

    `whole` is for a browser with the settings that people have, such as which cookies it keeps.
    Meant for an override of pytest-playwright's fixture `browser_type_launch_args`.
    """
    from playwright._impl._driver import compute_driver_executable

    node = compute_driver_executable()[0]
    answer = subprocess.run([node, "--version"], capture_output=True, text=True)
    if answer.returncode:
        # Playwright itself would only say "Connection closed while reading from the driver".
        raise Unavailable(f"Playwright's driver does not start: {answer.stderr.strip()}")
    arguments = list(ARGUMENTS)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's sandbox refuses to run as root
    return {"executable_path": _executable(whole), "args": arguments}


def _executable(whole: bool) -> str:
    found = dev.browser_on_path(whole=whole)
    if found is None:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            found = playwright.chromium.executable_path
    if not Path(found).exists():
        raise Unavailable(f"no browser: none on the PATH, and {found} does not exist")
    return found
