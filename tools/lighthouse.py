"""Lighthouse's scores of a page of a running product, as a phone would load it.

    python3 tools/lighthouse.py http://127.0.0.1:8000/p/TOKEN --runs 5

Takes the median of the runs. Exit code 1 when a score is under its budget: speed 98,
accessibility 100, practices 100, and SEO all but "is-crawlable", which fails on purpose
because nobody's page belongs in a search engine. Uses `lighthouse` from the PATH, else
fetches it with npx; needs Chromium and Node. Half a minute a run; not part of the tests.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dev

BUDGETS = {"performance": 98, "accessibility": 100, "best-practices": 100}
ON_PURPOSE = {"is-crawlable"}


def lighthouse(url: str) -> dict[str, Any]:
    """The report of one run, mobile, with Lighthouse's own slowed network and processor."""
    command = [shutil.which("lighthouse")] if shutil.which("lighthouse") else None
    flags = "--headless=new" + (" --no-sandbox" if os.geteuid() == 0 else "")
    environ = os.environ | {"CHROME_PATH": dev.browser_on_path() or ""}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        arguments = [url, "--quiet", "--output=json", f"--output-path={report}"]
        arguments += [f"--chrome-flags={flags}", "--form-factor=mobile"]
        subprocess.run(
            [*(command or ["npx", "--yes", "lighthouse@13"]), *arguments], env=environ, check=True
        )
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def missed(report: dict[str, Any], category: str) -> list[str]:
    """The names of the audits of a category that did not reach the full score."""
    audits = report["audits"]
    names = [ref["id"] for ref in report["categories"][category]["auditRefs"] if ref["weight"]]
    return [name for name in names if (audits[name]["score"] or 0) < 1]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, usage="%(prog)s URL [--runs N]")
    parser.add_argument("url")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(arguments)
    reports = [lighthouse(options.url) for _ in range(options.runs)]
    good = True
    for category in (*BUDGETS, "seo"):
        scores = [100 * (report["categories"][category]["score"] or 0) for report in reports]
        score, wants = statistics.median(scores), BUDGETS.get(category)
        under = sorted({name for report in reports for name in missed(report, category)})
        fine = score >= wants if wants else set(under) <= ON_PURPOSE
        good = good and fine
        budget = f"budget {wants}" if wants else f"may miss {', '.join(ON_PURPOSE)}"
        sys.stdout.write(f"{category}: {score:.0f} ({budget}); missed: {', '.join(under) or '-'}\n")
    for audit in ("largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift"):
        values = [report["audits"][audit]["numericValue"] for report in reports]
        sys.stdout.write(f"{audit}: {statistics.median(values):.3g}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
