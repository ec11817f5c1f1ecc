"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("writer", sa.String(36), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("client", sa.Text),
        sa.Column("patient", sa.String(64), nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.UniqueConstraint("writer", "seq", name="one_record_a_place"),
    )
    op.create_table(
        "cards",
        sa.Column("decision", sa.String(36), sa.ForeignKey("decisions.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("uuid", sa.String(64), nullable=False),
        sa.Column("policy", sa.Text),
        sa.Column("outcome", sa.String(12)),
        sa.Column("criteria", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
    )
    op.create_table(
        "feedback",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("received", sa.String(27), nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("client", sa.Text),
        sa.Column("card", sa.String(80), nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("outcome_at", sa.String(40), nullable=False),
        sa.Column("entry", sa.Text, nullable=False),
    )
    op.create_table(
        "chains",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("writer", sa.String(36), nullable=False, unique=True),
        sa.Column("key_id", sa.String(8), nullable=False),
        sa.Column("base_seq", sa.BigInteger, nullable=False),
        sa.Column("base_hash", sa.String(64), nullable=False),
        sa.Column("base_mac", sa.String(64), nullable=False),
        sa.Column("head_seq", sa.BigInteger, nullable=False),
        sa.Column("head_hash", sa.String(64), nullable=False),
        sa.Column("head_mac", sa.String(64), nullable=False),
    )
    op.create_table(
        "chain_registry",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("chains", sa.Integer, nullable=False),
        sa.Column("key_id", sa.String(8), nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
    )
    op.create_table(
        "token_ids",
        sa.Column("issuer", sa.String(255), primary_key=True),
        sa.Column("jti_hash", sa.String(64), primary_key=True),
        sa.Column("expires", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_decisions_at", "decisions", ["at"])
    op.create_index("ix_decisions_patient", "decisions", ["patient"])
    op.create_index("ix_cards_uuid", "cards", ["uuid"])
    op.create_index("ix_feedback_received", "feedback", ["received"])
    op.create_index("ix_feedback_card", "feedback", ["card"])
    op.create_index("token_ids_expires", "token_ids", ["expires"])
