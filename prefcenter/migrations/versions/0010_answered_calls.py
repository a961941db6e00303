"""Calls of the API that were answered."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "answered_call",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("api_key_id", ROW_ID, nullable=False),
        sa.Column("key_sha256", sa.String(length=64), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_key.id"], name=op.f("fk_answered_call_api_key_id_api_key")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answered_call")),
        sa.UniqueConstraint(
            "api_key_id", "key_sha256", name=op.f("uq_answered_call_api_key_id_key_sha256")
        ),
    )
    op.create_index(op.f("ix_answered_call_at"), "answered_call", ["at"], unique=False)


def downgrade() -> None:
    op.drop_table("answered_call")
