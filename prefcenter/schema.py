"""Whether the database has the tables that this code knows."""

from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, ProgrammingError

from prefcenter.database import db

MIGRATIONS = Path(__file__).parent / "migrations"


@lru_cache(maxsize=1)
def head() -> str:
    """The newest migration that this code ships."""
    from alembic.config import Config  # half a second to import, and only asked for once
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    found = ScriptDirectory.from_config(config).get_current_head()
    assert found is not None
    return found


def fault() -> str | None:
    """Why this code may not use this database, in a sentence with the cure; else None.

    Raises OperationalError when the database does not answer at all.
    """
    try:
        found = db.session.scalar(sa.text("SELECT version_num FROM alembic_version"))
    except (OperationalError, ProgrammingError) as error:
        db.session.rollback()
        if "alembic_version" not in str(error.orig):
            raise
        found = None
    if found is None:
        return "the database has no tables yet; run `prefcenter db upgrade`"
    if found != head():
        return f"the database is at {found}, this code needs {head()}; run `prefcenter db upgrade`"
    return None
