"""What the overview counts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = (
    *("suppression_change", "text_count", "running_count", "day_count"),
    *("count_scope", "count_mark"),
)
UNREACHABLE = sa.text("deliverability <> 'ok'")
FAILED = sa.text("status = 'failed'")
PAUSED = sa.text("paused_until IS NOT NULL")


def upgrade() -> None:
    _tables()
    op.create_index(
        "ix_person_unreachable",
        "person",
        ["deliverability", "country"],
        sqlite_where=UNREACHABLE,
        postgresql_where=UNREACHABLE,
    )
    op.create_index(
        "ix_person_paused",
        "person",
        ["paused_until"],
        sqlite_where=PAUSED,
        postgresql_where=PAUSED,
    )
    op.create_index(
        "ix_outbox_failed",
        "outbox",
        ["finished_at"],
        sqlite_where=FAILED,
        postgresql_where=FAILED,
    )
    if op.get_bind().dialect.name == "postgresql":
        _note_suppressions_on_postgresql()
    else:
        _note_suppressions_on_sqlite()
    op.execute(
        "INSERT INTO suppression_change (change)"
        " SELECT count(*) FROM suppression HAVING count(*) > 0"
    )


def downgrade() -> None:
    for happening in ("added", "lifted"):
        name = f"suppression_{happening}"
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER {name} ON suppression")
        else:
            op.execute(f"DROP TRIGGER {name}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION prefcenter_count_suppression()")
    op.drop_index("ix_outbox_failed", "outbox")
    op.drop_index("ix_person_paused", "person")
    op.drop_index("ix_person_unreachable", "person")
    for table in TABLES:
        op.drop_table(table)


def _tables() -> None:
    op.create_table(
        "count_mark",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("text_id", sa.BigInteger(), nullable=False),
        sa.Column("suppressed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_count_mark")),
    )
    op.create_table(
        "count_scope",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(length=220), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_count_scope")),
        sa.UniqueConstraint(
            *("generation", "place", "kind", "country", "language"),
            name=op.f("uq_count_scope_generation_place_kind_country_language"),
        ),
    )
    op.create_table(
        "day_count",
        sa.Column("scope_id", ROW_ID, nullable=False),
        sa.Column("what", sa.String(length=12), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("label", sa.String(length=24), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "what", "day", "label", name=op.f("pk_day_count")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "running_count",
        sa.Column("scope_id", ROW_ID, nullable=False),
        sa.Column("what", sa.String(length=12), nullable=False),
        sa.Column("label", sa.String(length=24), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "what", "label", name=op.f("pk_running_count")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "text_count",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "day", name=op.f("pk_text_count")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "suppression_change",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("change", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression_change")),
    )


def _note_suppressions_on_sqlite() -> None:
    for happening, action, change in (("added", "INSERT", 1), ("lifted", "DELETE", -1)):
        op.execute(
            f"CREATE TRIGGER suppression_{happening} AFTER {action} ON suppression"
            f" BEGIN INSERT INTO suppression_change (change) VALUES ({change}); END"
        )


def _note_suppressions_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION prefcenter_count_suppression() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN INSERT INTO suppression_change (change) VALUES (TG_ARGV[0]::int);"
        " RETURN NULL; END $$"
    )
    for happening, action, change in (("added", "INSERT", 1), ("lifted", "DELETE", -1)):
        op.execute(
            f"CREATE TRIGGER suppression_{happening} AFTER {action} ON suppression"
            f" FOR EACH ROW EXECUTE FUNCTION prefcenter_count_suppression('{change}')"
        )
