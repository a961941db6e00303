"""Texts that come in, receipts, reviews, and the words that they bring."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("review", "inbound", "receipt", "unreadable", "heartbeat")
# What a step down would lose; it is refused while there is any.
KEPT = (
    (
        "SELECT 1 FROM consent_event WHERE kind = 'noted' LIMIT 1",
        "The ledger holds events that 0001 cannot read",
    ),
    (
        "SELECT 1 FROM inbound WHERE handled_at IS NULL LIMIT 1",
        "Texts that came in still wait for their effect",
    ),
    (
        "SELECT 1 FROM unreadable WHERE seen_at IS NULL LIMIT 1",
        "Webhooks that could not be read wait for a person",
    ),
    ("SELECT 1 FROM review WHERE closed_at IS NULL LIMIT 1", "Texts wait for a person to read"),
)
# Table, column, name of its check, its words so far, the words that come.
WORDS = (
    (
        "consent_event",
        "kind",
        "eventkind",
        (
            *("requested", "confirmed", "declined", "expired", "changed", "paused", "resumed"),
            *("revoked", "restarted", "reassigned", "erased"),
        ),
        ("noted",),
    ),
    (
        "outbox",
        "kind",
        "textkind",
        (
            *("confirm_request", "welcome", "changed", "unsubscribed", "resubscribed"),
            *("already_subscribed", "help", "new_link"),
        ),
        ("which", "preferences", "paused", "resumed", "menu"),
    ),
    (
        "outbox",
        "status",
        "outboxstatus",
        ("queued", "sending", "sent", "unknown", "failed", "cancelled", "expired"),
        ("delivered",),
    ),
)


def upgrade() -> None:
    for table, column, name, old, more in WORDS:
        _change_words(table, column, name, old, (*old, *more))
    _tables()


def downgrade() -> None:
    """What the first version has no word for is told in its own words, or goes.

    Raises RuntimeError when the ledger holds what that version cannot read.
    """
    for query, why in KEPT:
        if op.get_bind().execute(sa.text(query)).first():
            raise RuntimeError(f"{why}; restore a backup of 0001 instead.")
    for table in TABLES:
        op.drop_table(table)
    op.execute("UPDATE outbox SET status = 'sent' WHERE status = 'delivered'")
    op.execute(
        "DELETE FROM outbox WHERE kind IN ('which', 'preferences', 'paused', 'resumed', 'menu')"
    )
    for table, column, name, old, more in WORDS:
        _change_words(table, column, name, (*old, *more), old)


def _change_words(
    table: str, column: str, name: str, old: tuple[str, ...], new: tuple[str, ...]
) -> None:
    """Let a column hold other words. On PostgreSQL its check is made anew.

    SQLite has no such statement, and copying an append-only table would mean to drop its
    guards. Its own documentation names this way for a change of a CHECK (lang_altertable,
    "Making Other Kinds Of Table Schema Changes"): the stored text of the table is edited.
    """
    before, after = (f"CHECK ({column} IN ({_listed(words)}))" for words in (old, new))
    check = f"ck_{table}_{name}"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {check}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {check} {after}")
        return
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    (version,) = driver.execute("PRAGMA schema_version").fetchone()
    driver.execute("PRAGMA writable_schema = ON")
    done = driver.execute(
        "UPDATE sqlite_schema SET sql = replace(sql, ?, ?)"
        " WHERE type = 'table' AND name = ? AND instr(sql, ?) > 0",
        (before, after, table, before),
    )
    assert done.rowcount == 1, f"{table} is not as the first migration made it"
    driver.execute(f"PRAGMA schema_version = {version + 1}")
    driver.execute("PRAGMA writable_schema = OFF")


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _tables() -> None:
    op.create_table(
        "heartbeat",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "inbound",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("message_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("ours", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("said_at", MOMENT, nullable=True),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("handled_at", MOMENT, nullable=True),
        sa.Column("reading", sa.String(length=24), nullable=False),
        sa.Column("outcome", sa.String(length=24), nullable=False),
        sa.Column("reply", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound")),
        sa.UniqueConstraint("message_id", name=op.f("uq_inbound_message_id")),
    )
    op.create_index(
        "ix_inbound_open",
        "inbound",
        ["number"],
        unique=False,
        sqlite_where=sa.text("handled_at IS NULL"),
        postgresql_where=sa.text("handled_at IS NULL"),
    )
    op.create_index(
        "ix_inbound_number_received_at", "inbound", ["number", "received_at"], unique=False
    )
    op.create_table(
        "receipt",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("provider_id", sa.String(length=64), nullable=False),
        sa.Column("ref", sa.String(length=100), nullable=True),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("said_at", MOMENT, nullable=True),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt")),
        sa.UniqueConstraint("provider_id", "status", name=op.f("uq_receipt_provider_id_status")),
    )
    op.create_index(op.f("ix_receipt_received_at"), "receipt", ["received_at"], unique=False)
    op.create_table(
        "review",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("public_id", sa.String(length=22), nullable=False),
        sa.Column("inbound_id", ROW_ID, nullable=False),
        sa.Column("person_id", ROW_ID, nullable=True),
        sa.Column(
            "reason",
            sa.Enum(
                *("likely_refusal", "mentions_stop", "doubtful_start"),
                name="reviewreason",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("closed_by", sa.String(length=80), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(
            ["inbound_id"], ["inbound.id"], name=op.f("fk_review_inbound_id_inbound")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_review_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint("inbound_id", name=op.f("uq_review_inbound_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_review_public_id")),
    )
    op.create_index(op.f("ix_review_due_on"), "review", ["due_on"], unique=False)
    op.create_table(
        "unreadable",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("door", sa.String(length=12), nullable=False),
        sa.Column("body_sha256", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unreadable")),
        sa.UniqueConstraint("body_sha256", name=op.f("uq_unreadable_body_sha256")),
    )
