"""How Alembic opens our database: as a writer, all revisions in one transaction."""

from alembic import context
from flask import current_app

from prefcenter import models  # noqa: F401 - fills the metadata
from prefcenter.database import WRITE, db


def run() -> None:
    engine = current_app.extensions["migrate"].db.engine
    with engine.connect().execution_options(**{WRITE: True}) as connection:
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_as_batch=True,
            transaction_per_migration=False,
            transactional_ddl=True,  # SQLite too: a migration that is killed leaves nothing
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
