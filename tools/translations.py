"""Bring the translations up to date with the sentences in templates and code.

    .venv/bin/python tools/translations.py

Collects the English sentences (babel.cfg says from where), adds new ones to each messages.po
untranslated, drops the ones no longer used, and compiles messages.mo. Then translate what it
names, run it again, and commit both files. tests/test_translations.py fails until that is done.
"""

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
TRANSLATIONS = ROOT / "prefcenter" / "translations"
KEYWORDS = DEFAULT_KEYWORDS | {"lazy_gettext": None, "_l": None}


def collect() -> Catalog:
    """All sentences that templates and code ask a translation for."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as mapping:
        methods, options = parse_mapping_cfg(mapping)  # type: ignore[no-untyped-call]  # Babel's own
    catalog = Catalog(project="prefcenter", fuzzy=False)
    found = extract_from_dir(ROOT, methods, options, KEYWORDS)
    for file, line, message, comments, context in sorted(found, key=lambda row: row[:2]):
        catalog.add(message, None, [(file, line)], auto_comments=comments, context=context)
    return catalog


def catalogs() -> dict[Path, Catalog]:
    """Every messages.po, read."""
    files = sorted(TRANSLATIONS.glob("*/LC_MESSAGES/messages.po"))
    return {file: read_po(io.BytesIO(file.read_bytes()), file.parts[-3]) for file in files}


def compiled(catalog: Catalog) -> bytes:
    """The bytes of messages.mo for a catalogue."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def unfinished(catalog: Catalog) -> list[str]:
    """The sentences without a translation of every form, or with a doubtful one."""
    return [
        str(message.id)
        for message in catalog
        if message.id
        and (
            message.fuzzy
            or not message.string
            or not (isinstance(message.string, str) or all(message.string))
        )
    ]


def main() -> int:
    wanted = collect()
    missing = []
    for file, catalog in catalogs().items():
        wanted.creation_date = catalog.creation_date  # no change that says nothing
        catalog.update(wanted, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        with file.open("wb") as po:
            write_po(po, catalog, width=100, include_lineno=False, omit_header=False)
        # Read back, so that the two files cannot differ.
        catalog = catalogs()[file]
        file.with_suffix(".mo").write_bytes(compiled(catalog))
        missing += [f"{catalog.locale}: {sentence}" for sentence in unfinished(catalog)]
    sys.stdout.write("".join(f"untranslated, {line}\n" for line in missing))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
