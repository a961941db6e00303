"""Addresses that are told about changes."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("public_id", sa.String(length=22), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("secret", sa.String(length=255), nullable=False),
        sa.Column("old_secret", sa.String(length=255), nullable=True),
        sa.Column("old_secret_until", MOMENT, nullable=True),
        sa.Column("told_event_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("disabled_at", MOMENT, nullable=True),
        sa.Column(
            "disabled_why",
            sa.Enum(
                *("owner", "gone", "failing"),
                name="endpointend",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=True,
        ),
        sa.Column("taken_at", MOMENT, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", MOMENT, nullable=True),
        sa.Column("rests_until", MOMENT, nullable=True),
        sa.Column("last_error", sa.String(length=120), nullable=False),
        sa.Column("held_by", sa.String(length=22), nullable=True),
        sa.Column("held_until", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoint")),
        sa.UniqueConstraint("public_id", name=op.f("uq_webhook_endpoint_public_id")),
    )
    op.create_table(
        "parked_notice",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("endpoint_id", ROW_ID, nullable=False),
        sa.Column("event_id", ROW_ID, nullable=False),
        sa.Column("person_id", ROW_ID, nullable=False),
        sa.Column("parked_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=120), nullable=False),
        sa.Column("dead_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoint.id"],
            name=op.f("fk_parked_notice_endpoint_id_webhook_endpoint"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["consent_event.id"], name=op.f("fk_parked_notice_event_id_consent_event")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_parked_notice_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parked_notice")),
        sa.UniqueConstraint(
            "endpoint_id", "event_id", name=op.f("uq_parked_notice_endpoint_id_event_id")
        ),
    )
    for name, columns, dead in (
        ("person", ["endpoint_id", "person_id", "event_id"], "dead_at IS NULL"),
        ("due", ["endpoint_id", "due_at", "event_id"], "dead_at IS NULL"),
        ("dead", ["endpoint_id", "event_id"], "dead_at IS NOT NULL"),
    ):
        op.create_index(
            f"ix_parked_notice_{name}",
            "parked_notice",
            columns,
            sqlite_where=sa.text(dead),
            postgresql_where=sa.text(dead),
        )


def downgrade() -> None:
    op.drop_table("parked_notice")
    op.drop_table("webhook_endpoint")
