"""The only reader of the wall clock, so that everything below an entry point takes `now=`."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)
