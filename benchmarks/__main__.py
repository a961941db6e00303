"""`python -m benchmarks [pages] [drain] [--rounds N]`: prints figures against their bars."""

import argparse
import platform
import sys

from benchmarks import drain, pages
from prefcenter import clock

_PARTS = {"pages": pages.measure, "drain": drain.measure}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", metavar="pages|drain")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    write = sys.stdout.write
    write(f"{clock.now():%Y-%m-%d}, {platform.platform()}, Python {platform.python_version()}\n")
    for part in arguments.parts or _PARTS:
        for line in _PARTS[part](arguments.rounds):
            write(line + "\n")
            sys.stdout.flush()


main()
