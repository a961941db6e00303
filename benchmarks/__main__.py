"""`python -m benchmarks [page post] [drain] [--rounds N]`: prints figures and bars."""

import argparse
import platform
import sys

from benchmarks import pages
from prefcenter import clock


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    write = sys.stdout.write
    write(f"{clock.now():%Y-%m-%d}, {platform.platform()}, Python {platform.python_version()}\n")
    for line in pages.measure(arguments.rounds):
        write(line + "\n")
        sys.stdout.flush()


main()
