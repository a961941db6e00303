"""A teller that is killed with -9 between a POST and its commit.

Run as `python -m tests.telling_crash ENDPOINT`; the settings are in the environment.
"""

import os
import signal
import sys
import threading

from prefcenter import create_app, telling
from prefcenter.upkeep import notice_outcomes


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    notice_outcomes.record = die  # type: ignore[assignment]  # where it is killed
    with create_app().app_context():
        telling.Round(int(sys.argv[1]), telling.post, threading.Event()).run()
