"""Where templates/ and static/ are."""

from pathlib import Path

_package = Path(__file__).parent
# A wheel carries templates/ and static/ inside the package; a checkout beside it.
ASSETS = _package if (_package / "templates").is_dir() else _package.parent
