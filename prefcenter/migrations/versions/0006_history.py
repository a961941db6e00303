"""What makes the history quick to filter, and the files taken out of it."""

import json
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LEDGER = "consent_event"
# The history is read newest first by time, and by id within a moment; each filter's index
# holds its events in that order, so that a page costs the same at any depth.
INDEXES = {
    "ix_consent_event_at_id": (["at", "id"], None),
    "ix_consent_event_kind_at_id": (["kind", "at", "id"], None),
    "ix_consent_event_source_at_id": (["source", "at", "id"], None),
    "ix_consent_event_action_at_id": (["action", "at", "id"], "action IS NOT NULL"),
    "ix_consent_event_site": (
        ["source_detail", "at", "id"],
        "source IN ('widget', 'form', 'api', 'preference_page')",
    ),
    "ix_consent_event_by": (["source_detail", "at", "id"], "source = 'admin'"),
}
NAMING = " OR ".join(
    f'NEW.changes LIKE \'%"{key}":["%\'' for key in ("added", "dropped", "requested")
)
COUNTRY = (
    "INSERT INTO event_fact (name, value, at, event_id)"
    " SELECT 'country', country, NEW.at, NEW.id FROM person WHERE id = NEW.person_id;"
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL statement_timeout = 0")  # a long ledger takes minutes
    _tables()
    op.drop_index("ix_consent_event_at", LEDGER)
    for name, (columns, part) in INDEXES.items():
        where = sa.text(part) if part else None
        op.create_index(name, LEDGER, columns, sqlite_where=where, postgresql_where=where)
    if op.get_bind().dialect.name == "postgresql":
        _facts_on_postgresql()
    else:
        _facts_on_sqlite()
    _notes()


def downgrade() -> None:
    """Loses no proof: facts and notes say again what events and evidence say, and what was
    exported stands in the admin log."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP TRIGGER event_facts ON {LEDGER}")
        op.execute("DROP FUNCTION prefcenter_note_facts()")
    else:
        op.execute("DROP TRIGGER event_countries")
        op.execute("DROP TRIGGER event_categories")
    for name in INDEXES:
        op.drop_index(name, LEDGER)
    op.create_index("ix_consent_event_at", LEDGER, ["at"], unique=False)
    for table in ("export", "event_note", "event_fact"):
        op.drop_table(table)


def _tables() -> None:
    op.create_table(
        "event_fact",
        sa.Column("name", sa.String(length=12), nullable=False),
        sa.Column("value", sa.String(length=40), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("event_id", ROW_ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("name", "value", "at", "event_id", name=op.f("pk_event_fact")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event_note",
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("event_id", ROW_ID, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["evidence.event_id"],
            name=op.f("fk_event_note_event_id_evidence"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("at", "event_id", name=op.f("pk_event_note")),
        sa.UniqueConstraint("event_id", name=op.f("uq_event_note_event_id")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "export",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("public_id", sa.String(length=22), nullable=False),
        sa.Column(
            "kind",
            _words("exportkind", "history", "ledger", "audience", "suppressions"),
            nullable=False,
        ),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("by_name", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("filters", sa.JSON(), nullable=False),
        sa.Column(
            "state",
            _words("exportstate", "running", "done", "broken_off", "failed"),
            nullable=False,
        ),
        sa.Column("rows_done", sa.BigInteger(), nullable=False),
        sa.Column("rows_total", sa.BigInteger(), nullable=True),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export")),
        sa.UniqueConstraint("public_id", name=op.f("uq_export_public_id")),
    )


def _notes() -> None:
    """What staff wrote before a step down stands in the evidence still (ledger.searchable)."""
    noted = sa.text(
        "SELECT event_id, body FROM evidence WHERE event_id > :last"
        ' AND body LIKE \'%"note":"%\' ORDER BY event_id LIMIT 1000'
    )
    add = sa.text(
        "INSERT INTO event_note (at, event_id, note)"
        f" SELECT at, id, :note FROM {LEDGER} WHERE id = :event_id"
    )
    last = 0
    while rows := op.get_bind().execute(noted, {"last": last}).all():
        for event_id, body in rows:
            if note := json.loads(body)["answer"].get("note"):
                note = " ".join(unicodedata.normalize("NFKC", note).casefold().split())
                op.get_bind().execute(add, {"event_id": event_id, "note": note})
        last = rows[-1].event_id


def _words(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=24)


def _facts_on_sqlite() -> None:
    names = " UNION ".join(
        f"SELECT value FROM json_each({{changes}}, '$.{key}')"
        for key in ("added", "dropped", "requested")
    )
    op.execute(f"CREATE TRIGGER event_countries AFTER INSERT ON {LEDGER} BEGIN {COUNTRY} END")
    op.execute(
        f"CREATE TRIGGER event_categories AFTER INSERT ON {LEDGER} WHEN {NAMING} BEGIN"
        " INSERT INTO event_fact (name, value, at, event_id)"
        " SELECT 'category', substr(value, 1, 40), NEW.at, NEW.id"
        f" FROM ({names.format(changes='NEW.changes')}); END"
    )
    op.execute(
        "INSERT INTO event_fact (name, value, at, event_id)"
        " SELECT 'country', p.country, e.at, e.id"
        f" FROM {LEDGER} e JOIN person p ON p.id = e.person_id"
    )
    for key in ("added", "dropped", "requested"):
        op.execute(
            "INSERT OR IGNORE INTO event_fact (name, value, at, event_id)"
            " SELECT 'category', substr(found.value, 1, 40), e.at, e.id"
            f" FROM {LEDGER} e, json_each(e.changes, '$.{key}') found"
        )


def _facts_on_postgresql() -> None:
    """Where a NUL stands in the JSON, PostgreSQL cannot read it; no event may be refused."""
    found = " UNION ".join(
        "SELECT left(value, 40) AS value FROM json_array_elements_text("
        f"CASE json_typeof({{changes}}->'{key}') WHEN 'array' THEN {{changes}}->'{key}'"
        " ELSE '[]' END) AS value"
        for key in ("added", "dropped", "requested")
    )
    op.execute(
        "CREATE FUNCTION prefcenter_note_facts() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {COUNTRY} IF ({NAMING}) AND strpos(NEW.changes, '\\u0000') = 0 THEN"
        " INSERT INTO event_fact (name, value, at, event_id)"
        " SELECT 'category', value, NEW.at, NEW.id"
        f" FROM ({found.format(changes='NEW.changes::json')}) AS named;"
        " END IF; RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER event_facts AFTER INSERT ON {LEDGER}"
        " FOR EACH ROW EXECUTE FUNCTION prefcenter_note_facts()"
    )
    op.execute(
        "INSERT INTO event_fact (name, value, at, event_id)"
        " SELECT 'country', p.country, e.at, e.id"
        f" FROM {LEDGER} e JOIN person p ON p.id = e.person_id"
    )
    op.execute(
        "INSERT INTO event_fact (name, value, at, event_id)"
        " SELECT 'category', named.value, e.at, e.id"
        f" FROM {LEDGER} e CROSS JOIN LATERAL"
        f" ({found.format(changes='e.changes::json')}) AS named"
        " WHERE strpos(e.changes, '\\u0000') = 0"
    )
