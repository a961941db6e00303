"""People who work here, their sessions, and the log of what they did, which nobody edits."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LOG = "staff_action"


def upgrade() -> None:
    _staff()
    _sessions()
    _actions()
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def downgrade() -> None:
    """Raises RuntimeError where somebody works here, whom 0003 would forget with their log."""
    if op.get_bind().execute(sa.text("SELECT 1 FROM staff LIMIT 1")).first():
        raise RuntimeError("There are people of staff; restore a backup of 0003 instead.")
    if op.get_bind().execute(sa.text(f"SELECT 1 FROM {LOG} LIMIT 1")).first():
        raise RuntimeError("The admin log is not empty; restore a backup of 0003 instead.")
    for table in (LOG, "staff_session", "staff"):
        op.drop_table(table)


def _staff() -> None:
    op.create_table(
        "staff",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("public_id", sa.String(length=22), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                *("viewer", "editor", "owner"),
                name="role",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("one_time", sa.Boolean(), nullable=False),
        sa.Column("one_time_until", MOMENT, nullable=True),
        sa.Column("totp_secret", sa.String(length=255), nullable=True),
        sa.Column("totp_last", sa.BigInteger(), nullable=True),
        sa.Column("recovery_hashes", sa.JSON(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=True),
        sa.Column("shortcuts", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("disabled_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("name", name=op.f("uq_staff_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_staff_public_id")),
    )


def _sessions() -> None:
    op.create_table(
        "staff_session",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("staff_id", ROW_ID, nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_staff_session_staff_id_staff")
        ),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_staff_session")),
    )
    for column in ("staff_id", "expires_at"):
        op.create_index(f"ix_staff_session_{column}", "staff_session", [column], unique=False)


def _actions() -> None:
    op.create_table(
        LOG,
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("staff_id", ROW_ID, nullable=True),
        sa.Column("staff_name", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=12), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_staff_action_staff_id_staff")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_action")),
    )
    for column in ("at", "action"):
        op.create_index(f"ix_staff_action_{column}", LOG, [column], unique=False)


def _guard_sqlite() -> None:
    """As 0001 does for the ledger."""
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {LOG}_no_{action.lower()} BEFORE {action} ON {LOG}"
            f" BEGIN SELECT RAISE(ABORT, '{LOG} is append-only'); END"
        )
    # INSERT OR REPLACE would delete a row without firing the trigger above.
    op.execute(
        f"CREATE TRIGGER {LOG}_no_replace BEFORE INSERT ON {LOG}"
        f" WHEN EXISTS (SELECT 1 FROM {LOG} WHERE id = NEW.id)"
        f" BEGIN SELECT RAISE(ABORT, '{LOG} is append-only'); END"
    )


def _guard_postgresql() -> None:
    """The function is from 0001."""
    op.execute(
        f"CREATE TRIGGER {LOG}_append_only BEFORE UPDATE OR DELETE ON {LOG}"
        " FOR EACH ROW EXECUTE FUNCTION prefcenter_append_only()"
    )
    op.execute(
        f"CREATE TRIGGER {LOG}_no_truncate BEFORE TRUNCATE ON {LOG}"
        " FOR EACH STATEMENT EXECUTE FUNCTION prefcenter_append_only()"
    )
