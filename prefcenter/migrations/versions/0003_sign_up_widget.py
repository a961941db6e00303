"""Sites, the forms they redeem, what guards them against abuse, and keys for programs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("ask", "breaker", "spent", "site_key", "site", "api_key")


def upgrade() -> None:
    _sites()
    _guards()
    op.create_table(
        "api_key",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("name", name=op.f("uq_api_key_name")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_api_key_secret_sha256")),
    )


def downgrade() -> None:
    """Raises RuntimeError while a site or key is in use, which 0002 would forget."""
    for table, column in (("site", "disabled_at"), ("api_key", "revoked_at")):
        query = f"SELECT 1 FROM {table} WHERE {column} IS NULL LIMIT 1"
        if op.get_bind().execute(sa.text(query)).first():
            raise RuntimeError(f"A row of {table} is in use; restore a backup of 0002 instead.")
    for table in TABLES:
        op.drop_table(table)


def _sites() -> None:
    op.create_table(
        "site",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("slug", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("origins", sa.JSON(), nullable=False),
        sa.Column("about", sa.JSON(), nullable=False),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("color", sa.String(length=7), nullable=True),
        sa.Column("color_dark", sa.String(length=7), nullable=True),
        sa.Column("logo", sa.LargeBinary(), nullable=True),
        sa.Column("logo_type", sa.String(length=20), nullable=True),
        sa.Column("daily_budget", sa.Integer(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("disabled_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
        sa.UniqueConstraint("slug", name=op.f("uq_site_slug")),
        sa.UniqueConstraint("key", name=op.f("uq_site_key")),
    )
    op.create_table(
        "site_key",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("site_id", ROW_ID, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_site_key_site_id_site")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_site_key")),
    )


def _guards() -> None:
    op.create_table(
        "spent",
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_spent")),
    )
    op.create_index(op.f("ix_spent_expires_at"), "spent", ["expires_at"], unique=False)
    op.create_table(
        "ask",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("person_id", ROW_ID, nullable=False),
        sa.Column("prefix", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=200), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_ask_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ask")),
    )
    op.create_index(op.f("ix_ask_at"), "ask", ["at"], unique=False)
    for column in ("prefix", "site", "country"):
        op.create_index(f"ix_ask_{column}_at", "ask", [column, "at"], unique=False)
    op.create_index(
        "ix_ask_open",
        "ask",
        ["person_id"],
        unique=False,
        sqlite_where=sa.text("confirmed_at IS NULL"),
        postgresql_where=sa.text("confirmed_at IS NULL"),
    )
    op.create_table(
        "breaker",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column(
            "scope",
            sa.Enum(
                *("prefix", "site", "country"),
                name="breakerscope",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("tripped_at", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("closed_by", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breaker")),
    )
    op.create_index(
        "ix_breaker_scope_key_until", "breaker", ["scope", "key", "until"], unique=False
    )
