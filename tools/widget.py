"""Make static/widget.min.js of static/widget.js, after every change of it.

    .venv/bin/python tools/widget.py

The app serves the short form, because every visitor of somebody else's page loads it. Its first
line names the source by hash; tests/test_embed.py fails until both belong together.
"""

import hashlib
import sys
from pathlib import Path

import minify

STATIC = Path(__file__).resolve().parent.parent / "static"


def short(source: str) -> str:
    """The script as a function of C, with short names and no comments."""
    code: str = minify.string("application/javascript", f"(C=>{{{source}}})")
    digest = hashlib.sha256(source.encode()).hexdigest()
    return f"// widget.js {digest}\n{code}\n"


if __name__ == "__main__":
    made = short((STATIC / "widget.js").read_text(encoding="utf-8"))
    (STATIC / "widget.min.js").write_text(made, encoding="utf-8")
    sys.stdout.write(f"{len(made.encode())} bytes\n")
