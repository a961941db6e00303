"""The first tables: people, categories, the ledger and its proof, suppressions, the outbox.

On PostgreSQL also Procrastinate's tables, from the SQL that its version 3.10.0 ships (MIT).
Long, because a migration spells every column out and is never shortened later.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
QUEUE_SQL = Path(__file__).parents[1] / "sql" / "procrastinate-3.10.0.sql"
# Nobody edits or deletes these, also not with plain SQL (RULE-13, RULE-14, SEC-44).
APPEND_ONLY = ("consent_event", "wording_version")


def _words(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=24)


def upgrade() -> None:
    _tables()
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
        _driver_sql(QUEUE_SQL.read_text(encoding="utf-8"))
    else:
        _guard_sqlite()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _drop_postgresql_only()
    for table in TABLES:
        op.drop_table(table)


def _guard_sqlite() -> None:
    for table in APPEND_ONLY:
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        # INSERT OR REPLACE would delete a row without firing the trigger above.
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}"
            f" WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)"
            f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    op.execute(
        "CREATE TRIGGER consent_event_no_replace_seq BEFORE INSERT ON consent_event"
        " WHEN EXISTS (SELECT 1 FROM consent_event"
        " WHERE (person_id = NEW.person_id AND seq = NEW.seq) OR public_id = NEW.public_id)"
        " BEGIN SELECT RAISE(ABORT, 'consent_event is append-only'); END"
    )
    # The same text again is no fault (ledger.publish says so); other words under its hash are.
    op.execute(
        "CREATE TRIGGER wording_version_no_replace_sha256 BEFORE INSERT ON wording_version"
        " WHEN EXISTS (SELECT 1 FROM wording_version"
        " WHERE sha256 = NEW.sha256 AND id IS NOT NEW.id)"
        " BEGIN SELECT CASE WHEN EXISTS (SELECT 1 FROM wording_version"
        " WHERE sha256 = NEW.sha256 AND text = NEW.text) THEN RAISE(IGNORE)"
        " ELSE RAISE(ABORT, 'wording_version is append-only') END; END"
    )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION prefcenter_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION prefcenter_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION prefcenter_append_only()"
        )


def _driver_sql(sql: str) -> None:
    """Run a script as it is: SQLAlchemy would read its percent signs as parameters."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    driver.execute(sql)


def _drop_postgresql_only() -> None:
    for table in APPEND_ONLY:
        op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
        op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
    op.execute("DROP FUNCTION prefcenter_append_only()")
    _driver_sql(
        "DO $$ DECLARE found record; BEGIN"
        " FOR found IN SELECT tablename AS name FROM pg_tables"
        "  WHERE schemaname = current_schema() AND tablename LIKE 'procrastinate%' LOOP"
        "  EXECUTE format('DROP TABLE IF EXISTS %I CASCADE', found.name); END LOOP;"
        " FOR found IN SELECT oid::regprocedure AS name FROM pg_proc"
        "  WHERE pronamespace = current_schema()::regnamespace"
        "  AND proname LIKE 'procrastinate%' LOOP"
        "  EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', found.name); END LOOP;"
        " FOR found IN SELECT typname AS name FROM pg_type"
        "  WHERE typnamespace = current_schema()::regnamespace"
        "  AND typname LIKE 'procrastinate%' AND typtype IN ('e', 'c') LOOP"
        "  EXECUTE format('DROP TYPE IF EXISTS %I CASCADE', found.name); END LOOP;"
        " END $$"
    )


TABLES = (
    "evidence",
    "person_category",
    "outbox",
    "consent_event",
    "wording_version",
    "tally",
    "suppression",
    "signup",
    "person",
    "gate",
    "category",
    "alarm",
)


def _tables() -> None:

    op.create_table(
        "alarm",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("message", sa.String(length=300), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alarm")),
    )
    op.create_table(
        "category",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("slug", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("description", sa.String(length=200), nullable=False),
        sa.Column("translations", sa.JSON(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("transactional", sa.Boolean(), nullable=False),
        sa.Column("age_gate", sa.Integer(), nullable=True),
        sa.Column("retired_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_category")),
        sa.UniqueConstraint("slug", name=op.f("uq_category_slug")),
    )
    op.create_table(
        "gate",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("next_free", sa.Double(), nullable=False),
        sa.Column("closed_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_gate")),
    )
    op.create_table(
        "person",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("public_id", sa.String(length=22), nullable=False),
        sa.Column("link_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.String(length=16), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=True),
        sa.Column(
            "status",
            _words("status", "not_subscribed", "pending", "subscribed", "unsubscribed", "redacted"),
            nullable=False,
        ),
        sa.Column(
            "opt_in_level",
            _words("optinlevel", "single_opt_in", "confirmed_opt_in", "unknown"),
            nullable=False,
        ),
        sa.Column(
            "deliverability",
            _words("deliverability", "ok", "soft_failed", "invalid", "deactivated", "reassigned"),
            nullable=False,
        ),
        sa.Column("frequency", sa.String(length=12), nullable=False),
        sa.Column("paused_until", MOMENT, nullable=True),
        sa.Column("requested", sa.JSON(), nullable=False),
        sa.Column("request_ref", sa.String(length=22), nullable=True),
        sa.Column("request_expires_at", MOMENT, nullable=True),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.Column("opted_out_at", MOMENT, nullable=True),
        sa.Column(
            "opt_out_source",
            _words(
                "source",
                "widget",
                "form",
                "preference_page",
                "sms",
                "admin",
                "api",
                "import",
                "provider",
                "maintenance",
            ),
            nullable=True,
        ),
        sa.Column("undo_link", sa.String(length=64), nullable=True),
        sa.Column("reassigned_at", MOMENT, nullable=True),
        sa.Column("ledger_seq", sa.Integer(), nullable=False),
        sa.Column("ledger_head", sa.String(length=64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("link_id", name=op.f("uq_person_link_id")),
        sa.UniqueConstraint("number", name=op.f("uq_person_number")),
        sa.UniqueConstraint("public_id", name=op.f("uq_person_public_id")),
    )
    op.create_index(op.f("ix_person_status"), "person", ["status"], unique=False)
    op.create_table(
        "signup",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("site", sa.String(length=200), nullable=False),
        sa.Column("wording_kind", sa.String(length=20), nullable=False),
        sa.Column("wording_text", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signup")),
    )
    op.create_table(
        "suppression",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("pseudonym", sa.String(length=64), nullable=False),
        sa.Column(
            "reason",
            _words(
                "suppressionreason",
                "keyword",
                "preference_page",
                "admin",
                "complaint",
                "carrier_deactivation",
                "reassigned",
                "provider_block",
                "erasure",
                "import",
            ),
            nullable=False,
        ),
        sa.Column("since", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression")),
        sa.UniqueConstraint("pseudonym", name=op.f("uq_suppression_pseudonym")),
    )
    op.create_table(
        "tally",
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("window_start", MOMENT, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", "window_start", name=op.f("pk_tally")),
    )
    op.create_table(
        "wording_version",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wording_version")),
        sa.UniqueConstraint("sha256", name=op.f("uq_wording_version_sha256")),
    )
    op.create_table(
        "consent_event",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("public_id", sa.String(length=22), nullable=False),
        sa.Column("person_id", ROW_ID, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column(
            "kind",
            _words(
                "eventkind",
                "requested",
                "confirmed",
                "declined",
                "expired",
                "changed",
                "paused",
                "resumed",
                "revoked",
                "restarted",
                "reassigned",
                "erased",
            ),
            nullable=False,
        ),
        sa.Column("action", _words("action", "opt-in", "opt-out", "re-opt-in"), nullable=True),
        sa.Column(
            "source",
            _words(
                "source",
                "widget",
                "form",
                "preference_page",
                "sms",
                "admin",
                "api",
                "import",
                "provider",
                "maintenance",
            ),
            nullable=False,
        ),
        sa.Column("source_detail", sa.String(length=200), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("wording_sha256", sa.String(length=64), nullable=True),
        sa.Column("refers_to", sa.String(length=22), nullable=True),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("evidence_hash", sa.String(length=64), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_consent_event_person_id_person")
        ),
        sa.ForeignKeyConstraint(
            ["wording_sha256"],
            ["wording_version.sha256"],
            name=op.f("fk_consent_event_wording_sha256_wording_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_event")),
        sa.UniqueConstraint("person_id", "seq", name=op.f("uq_consent_event_person_id_seq")),
        sa.UniqueConstraint("public_id", name=op.f("uq_consent_event_public_id")),
    )
    op.create_index(op.f("ix_consent_event_at"), "consent_event", ["at"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("ref", sa.String(length=22), nullable=False),
        sa.Column("person_id", ROW_ID, nullable=True),
        sa.Column("to_number", sa.String(length=16), nullable=False),
        sa.Column("sender", sa.String(length=16), nullable=False),
        sa.Column(
            "kind",
            _words(
                "textkind",
                "confirm_request",
                "welcome",
                "changed",
                "unsubscribed",
                "resubscribed",
                "already_subscribed",
                "help",
                "new_link",
            ),
            nullable=False,
        ),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "status",
            _words(
                "outboxstatus",
                "queued",
                "sending",
                "sent",
                "unknown",
                "failed",
                "cancelled",
                "expired",
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("claim", sa.String(length=22), nullable=True),
        sa.Column("claimed_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("provider_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_outbox_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("ref", name=op.f("uq_outbox_ref")),
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "ix_outbox_open",
        "outbox",
        ["claimed_at"],
        unique=False,
        sqlite_where=sa.text("status IN ('sending', 'unknown')"),
        postgresql_where=sa.text("status IN ('sending', 'unknown')"),
    )
    op.create_index(op.f("ix_outbox_provider_id"), "outbox", ["provider_id"], unique=False)
    op.create_index(
        "ix_outbox_to_number_created_at", "outbox", ["to_number", "created_at"], unique=False
    )
    op.create_table(
        "person_category",
        sa.Column("person_id", ROW_ID, nullable=False),
        sa.Column("category_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["category_id"], ["category.id"], name=op.f("fk_person_category_category_id_category")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
            name=op.f("fk_person_category_person_id_person"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("person_id", "category_id", name=op.f("pk_person_category")),
    )
    op.create_index(
        op.f("ix_person_category_category_id"), "person_category", ["category_id"], unique=False
    )
    op.create_table(
        "evidence",
        sa.Column("event_id", ROW_ID, nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["consent_event.id"], name=op.f("fk_evidence_event_id_consent_event")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_evidence")),
    )
