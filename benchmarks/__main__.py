"""`python -m benchmarks [pages] [drain] [stops] [signups] [admin] [decisions] [audience] [race]
[--rounds N]`: figures against their bars."""

import argparse
import platform
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks import (
    admin,
    decisions,
    drain,
    exports,
    pages,
    race,
    seed_history,
    signups,
    stops,
)
from prefcenter import clock

_PARTS: dict[str, Callable[[argparse.Namespace], Iterable[str]]] = {
    "pages": lambda given: pages.measure(given.rounds),
    "drain": lambda given: drain.measure(given.rounds),
    "stops": lambda given: stops.measure(given.rounds, given.stops),
    "signups": lambda given: signups.measure(given.tries),
    "admin": lambda given: admin.measure(given.people, given.database, given.rounds, given.keep),
    "decisions": lambda given: decisions.measure(
        given.people, given.database, given.rounds, given.keep
    ),
    "audience": lambda given: exports.measure(given.people, given.database, given.rounds),
    "race": lambda given: race.measure(given.decisions, given.database),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", metavar="|".join(_PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stops", type=int, default=stops.IN_A_RUSH, help="in the big rush")
    parser.add_argument("--tries", type=int, default=signups.TRIES, help="sign-ups that are timed")
    parser.add_argument("--decisions", type=int, default=race.DECISIONS, help="of the race part")
    parser.add_argument(
        "--people", type=int, default=seed_history.PEOPLE, help="admin, decisions, audience"
    )
    parser.add_argument(
        "--database", choices=("sqlite", "postgresql"), default="", help="also race"
    )
    parser.add_argument("--keep", type=Path, help="folder for their SQLite databases")
    arguments = parser.parse_args()
    write = sys.stdout.write
    write(f"{clock.now():%Y-%m-%d}, {platform.platform()}, Python {platform.python_version()}\n")
    for part in arguments.parts or _PARTS:
        for line in _PARTS[part](arguments):
            write(line + "\n")
            sys.stdout.flush()


main()
