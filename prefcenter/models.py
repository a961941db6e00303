"""Tables, enums and constraints. Rules live in consent/, queries beside their callers.

Three ids, three purposes: `id` joins rows, `public_id` may be shown, secrets are apart. All
tables stand in one file, though it is long, because they refer to each other.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from prefcenter.database import Base, UtcDateTime, new_public_id, words


class Status(StrEnum):
    """Where a number stands (Shopify's SmsMarketingState)."""

    NOT_SUBSCRIBED = "not_subscribed"
    PENDING = "pending"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    REDACTED = "redacted"


class OptInLevel(StrEnum):
    SINGLE = "single_opt_in"
    CONFIRMED = "confirmed_opt_in"
    UNKNOWN = "unknown"


class Deliverability(StrEnum):
    """Whether texts arrive; never says anything about consent (RULE-51)."""

    OK = "ok"
    SOFT_FAILED = "soft_failed"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    REASSIGNED = "reassigned"


class EventKind(StrEnum):
    """What a ledger event did; the allowed moves are in consent/state.py."""

    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    EXPIRED = "expired"
    CHANGED = "changed"
    PAUSED = "paused"
    RESUMED = "resumed"
    REVOKED = "revoked"
    RESTARTED = "restarted"
    REASSIGNED = "reassigned"
    ERASED = "erased"
    NOTED = "noted"  # said and kept as proof, but it moved nothing (REL-12)


class Action(StrEnum):
    """Twilio's consent states."""

    OPT_IN = "opt-in"
    OPT_OUT = "opt-out"
    RE_OPT_IN = "re-opt-in"


class Source(StrEnum):
    WIDGET = "widget"
    FORM = "form"
    PREFERENCE_PAGE = "preference_page"
    SMS = "sms"
    ADMIN = "admin"
    API = "api"
    IMPORT = "import"
    PROVIDER = "provider"
    MAINTENANCE = "maintenance"


class SuppressionReason(StrEnum):
    KEYWORD = "keyword"
    PREFERENCE_PAGE = "preference_page"
    ADMIN = "admin"
    COMPLAINT = "complaint"
    CARRIER_DEACTIVATION = "carrier_deactivation"
    REASSIGNED = "reassigned"
    PROVIDER_BLOCK = "provider_block"
    ERASURE = "erasure"
    IMPORT = "import"


class TextKind(StrEnum):
    """Every text that we send; one template each per language."""

    CONFIRM_REQUEST = "confirm_request"
    WELCOME = "welcome"
    CHANGED = "changed"
    UNSUBSCRIBED = "unsubscribed"
    RESUBSCRIBED = "resubscribed"
    ALREADY_SUBSCRIBED = "already_subscribed"
    HELP = "help"
    NEW_LINK = "new_link"
    WHICH = "which"
    PREFERENCES = "preferences"
    PAUSED = "paused"
    RESUMED = "resumed"
    MENU = "menu"


class OutboxStatus(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNKNOWN = "unknown"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class ReviewReason(StrEnum):
    """Why a person should read what somebody texted."""

    LIKELY_REFUSAL = "likely_refusal"  # stopped at once; was it meant so?
    MENTIONS_STOP = "mentions_stop"  # not stopped, though a stop word stands in it
    DOUBTFUL_START = "doubtful_start"  # a START whose time cannot be believed


class BreakerScope(StrEnum):
    """What a breaker stops."""

    PREFIX = "prefix"
    SITE = "site"
    COUNTRY = "country"


_RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# The parts of the ledger that two of its indexes hold; a query that says the same uses them.
OF_SITES = "source IN ('widget', 'form', 'api', 'preference_page')"
BY_HAND = "source = 'admin'"


class Person(Base):
    """One phone number and where it stands. Its state is the fold of its ledger events."""

    __tablename__ = "person"
    __table_args__ = (
        sa.Index(
            "ix_person_unreachable",
            "deliverability",
            "country",
            sqlite_where=sa.text("deliverability <> 'ok'"),
            postgresql_where=sa.text("deliverability <> 'ok'"),
        ),
        sa.Index(
            "ix_person_paused",
            "paused_until",
            sqlite_where=sa.text("paused_until IS NOT NULL"),
            postgresql_where=sa.text("paused_until IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(22), unique=True, default=new_public_id)
    link_id: Mapped[int] = mapped_column(sa.BigInteger, unique=True)  # 40 random bits in links
    number: Mapped[str | None] = mapped_column(sa.String(16), unique=True)  # E.164 with plus
    country: Mapped[str] = mapped_column(sa.String(2))
    language: Mapped[str] = mapped_column(sa.String(8))
    zone: Mapped[str | None] = mapped_column(sa.String(64))  # IANA name (RULE-38)
    status: Mapped[Status] = mapped_column(words(Status), index=True)
    opt_in_level: Mapped[OptInLevel] = mapped_column(words(OptInLevel))
    deliverability: Mapped[Deliverability] = mapped_column(words(Deliverability))
    frequency: Mapped[str] = mapped_column(sa.String(12))  # all, N/week or N/month
    paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    requested: Mapped[list[str]] = mapped_column(sa.JSON)  # slugs asked for, not yet confirmed
    request_ref: Mapped[str | None] = mapped_column(sa.String(22))  # public id of that event
    request_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    opted_out_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    opt_out_source: Mapped[Source | None] = mapped_column(words(Source))
    undo_link: Mapped[str | None] = mapped_column(sa.String(64))  # SHA-256 of the link that stopped
    reassigned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ledger_seq: Mapped[int] = mapped_column(sa.Integer)
    ledger_head: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    categories: Mapped[list["Category"]] = relationship(
        secondary="person_category", order_by="Category.position", viewonly=True
    )


class Category(Base):
    """A content choice. A retired one is kept, because the ledger names it."""

    __tablename__ = "category"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    slug: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    description: Mapped[str] = mapped_column(sa.String(200))
    translations: Mapped[dict[str, dict[str, str]]] = mapped_column(sa.JSON)
    position: Mapped[int] = mapped_column(sa.Integer)
    public: Mapped[bool] = mapped_column(sa.Boolean)  # private: never shown or changed by a page
    transactional: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    age_gate: Mapped[int | None] = mapped_column(sa.Integer)  # years (RULE-10)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    def text(self, field: str, language: str) -> str:
        """`name` or `description` in a language, or as the owner first wrote it."""
        found = self.translations.get(language, {}).get(field)
        return found or str(getattr(self, field))


class PersonCategory(Base):
    """Which categories a person takes."""

    __tablename__ = "person_category"

    person_id: Mapped[int] = mapped_column(
        sa.ForeignKey("person.id", ondelete="CASCADE"), primary_key=True
    )
    category_id: Mapped[int] = mapped_column(
        sa.ForeignKey("category.id"), primary_key=True, index=True
    )


class WordingVersion(Base):
    """A consent text as it was shown. Never edited: another text is another row (RULE-14)."""

    __tablename__ = "wording_version"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(20))
    language: Mapped[str] = mapped_column(sa.String(8))
    text: Mapped[str] = mapped_column(sa.Text)
    sha256: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ConsentEvent(Base):
    """One entry of the append-only proof (RULE-11 to RULE-14). Written by ledger.py alone."""

    __tablename__ = "consent_event"
    __table_args__ = (
        sa.UniqueConstraint("person_id", "seq"),
        # One for each filter of the history, in the order in which it is read.
        sa.Index("ix_consent_event_at_id", "at", "id"),
        sa.Index("ix_consent_event_kind_at_id", "kind", "at", "id"),
        sa.Index("ix_consent_event_source_at_id", "source", "at", "id"),
        sa.Index(
            "ix_consent_event_action_at_id",
            *("action", "at", "id"),
            sqlite_where=sa.text("action IS NOT NULL"),
            postgresql_where=sa.text("action IS NOT NULL"),
        ),
        sa.Index(
            "ix_consent_event_site",
            *("source_detail", "at", "id"),
            sqlite_where=sa.text(OF_SITES),
            postgresql_where=sa.text(OF_SITES),
        ),
        sa.Index(
            "ix_consent_event_by",
            *("source_detail", "at", "id"),
            sqlite_where=sa.text(BY_HAND),
            postgresql_where=sa.text(BY_HAND),
        ),
    )

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(22), unique=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    seq: Mapped[int] = mapped_column(sa.Integer)  # 1, 2, 3 … per person
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[EventKind] = mapped_column(words(EventKind))
    action: Mapped[Action | None] = mapped_column(words(Action))
    source: Mapped[Source] = mapped_column(words(Source))
    source_detail: Mapped[str] = mapped_column(sa.String(200))
    language: Mapped[str] = mapped_column(sa.String(8))
    wording_sha256: Mapped[str | None] = mapped_column(
        sa.String(64), sa.ForeignKey("wording_version.sha256")
    )
    refers_to: Mapped[str | None] = mapped_column(sa.String(22))  # public id of the request
    changes: Mapped[str] = mapped_column(sa.Text)  # canonical JSON; what the fold applies
    evidence_hash: Mapped[str] = mapped_column(sa.String(64))
    prev_hash: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))


class Evidence(Base):
    """The personal part of a proof, in a row of its own so that it can be erased.

    The event keeps SHA-256(salt + body); with this row gone the hash says nothing.
    """

    __tablename__ = "evidence"

    event_id: Mapped[int] = mapped_column(sa.ForeignKey("consent_event.id"), primary_key=True)
    salt: Mapped[str] = mapped_column(sa.String(64))
    body: Mapped[str] = mapped_column(sa.Text)  # canonical JSON


class Suppression(Base):
    """A number that must get nothing, known only by keyed hash (RULE-42, RULE-44, SEC-48)."""

    __tablename__ = "suppression"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    pseudonym: Mapped[str] = mapped_column(sa.String(64), unique=True)
    reason: Mapped[SuppressionReason] = mapped_column(words(SuppressionReason))
    since: Mapped[datetime] = mapped_column(UtcDateTime)


class Signup(Base):
    """A form that came in and waits for its turn; gone once it was looked at.

    Every form leaves one such row, whoever the number belongs to, so that neither the
    answer nor its time tells who is a customer (SEC-24).
    """

    __tablename__ = "signup"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    number: Mapped[str] = mapped_column(sa.String(16))
    country: Mapped[str] = mapped_column(sa.String(2))
    language: Mapped[str] = mapped_column(sa.String(8))
    categories: Mapped[list[str]] = mapped_column(sa.JSON)
    site: Mapped[str] = mapped_column(sa.String(200))
    wording_kind: Mapped[str] = mapped_column(sa.String(20))
    wording_text: Mapped[str] = mapped_column(sa.Text)
    evidence: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Inbound(Base):
    """A text that came in: one row for each message id of the provider, for ever (REL-11).

    Stored before the provider is answered, and worked afterwards: `handled_at` is empty
    until its effect was committed. `said_at` is the provider's time, `received_at` ours.
    """

    __tablename__ = "inbound"
    __table_args__ = (
        sa.Index(
            "ix_inbound_open",
            "number",
            sqlite_where=sa.text("handled_at IS NULL"),
            postgresql_where=sa.text("handled_at IS NULL"),
        ),
        sa.Index("ix_inbound_number_received_at", "number", "received_at"),
    )

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    message_id: Mapped[str] = mapped_column(sa.String(64), unique=True)
    number: Mapped[str] = mapped_column(sa.String(16))
    ours: Mapped[str] = mapped_column(sa.String(16))  # the sender of ours that was texted
    text: Mapped[str] = mapped_column(sa.Text)
    said_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    handled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reading: Mapped[str] = mapped_column(sa.String(24), default="")  # what it was taken for
    outcome: Mapped[str] = mapped_column(sa.String(24), default="")  # what came of it
    reply: Mapped[str] = mapped_column(sa.String(24), default="")  # who answers, or why nobody


class Receipt(Base):
    """What the provider said about a text that is not, or not yet, known by that id (REL-13)."""

    __tablename__ = "receipt"
    __table_args__ = (sa.UniqueConstraint("provider_id", "status"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    provider_id: Mapped[str] = mapped_column(sa.String(64))
    ref: Mapped[str | None] = mapped_column(sa.String(100))
    status: Mapped[str] = mapped_column(sa.String(24))
    code: Mapped[str] = mapped_column(sa.String(16))
    said_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Unreadable(Base):
    """A genuine webhook that we could not use, as it came, for a person to look at (SEC-34)."""

    __tablename__ = "unreadable"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    door: Mapped[str] = mapped_column(sa.String(12))  # inbound or status
    body_sha256: Mapped[str] = mapped_column(sa.String(64), unique=True)
    body: Mapped[bytes] = mapped_column(sa.LargeBinary)
    reason: Mapped[str] = mapped_column(sa.String(80))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Review(Base):
    """A text that a person should read, and until when (RULE-21)."""

    __tablename__ = "review"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(22), unique=True, default=new_public_id)
    inbound_id: Mapped[int] = mapped_column(sa.ForeignKey("inbound.id"), unique=True)
    person_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))
    reason: Mapped[ReviewReason] = mapped_column(words(ReviewReason))
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_on: Mapped[date] = mapped_column(sa.Date, index=True)  # ten business days on
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by: Mapped[str] = mapped_column(sa.String(80), default="")
    note: Mapped[str] = mapped_column(sa.String(300), default="")


class Heartbeat(Base):
    """When something was last known to work, such as the doors for webhooks (REL-14)."""

    __tablename__ = "heartbeat"

    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class OutboxMessage(Base):
    """A text to be sent, being sent or sent. The truth on both databases."""

    __tablename__ = "outbox"
    __table_args__ = (
        sa.Index(
            "ix_outbox_due",
            "due_at",
            sqlite_where=sa.text("status = 'queued'"),
            postgresql_where=sa.text("status = 'queued'"),
        ),
        sa.Index(
            "ix_outbox_open",
            "claimed_at",
            sqlite_where=sa.text("status IN ('sending', 'unknown')"),
            postgresql_where=sa.text("status IN ('sending', 'unknown')"),
        ),
        sa.Index("ix_outbox_to_number_created_at", "to_number", "created_at"),
        sa.Index(
            "ix_outbox_failed",
            "finished_at",
            sqlite_where=sa.text("status = 'failed'"),
            postgresql_where=sa.text("status = 'failed'"),
        ),
    )

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    ref: Mapped[str] = mapped_column(sa.String(22), unique=True, default=new_public_id)
    person_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))
    to: Mapped[str] = mapped_column("to_number", sa.String(16))
    sender: Mapped[str] = mapped_column(sa.String(16))
    kind: Mapped[TextKind] = mapped_column(words(TextKind))
    language: Mapped[str] = mapped_column(sa.String(8))
    body: Mapped[str] = mapped_column(sa.Text)
    status: Mapped[OutboxStatus] = mapped_column(words(OutboxStatus))
    reason: Mapped[str] = mapped_column(sa.String(80), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)  # latest useful moment (REL-9)
    attempts: Mapped[int] = mapped_column(sa.Integer, default=0)  # calls that told us "not sent"
    copies: Mapped[int] = mapped_column(sa.Integer, default=0)  # calls that may have sent it
    claim: Mapped[str | None] = mapped_column(sa.String(22))  # fencing token of the claimer
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    provider_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)


class Tally(Base):
    """How many texts a number, network, site, prefix, country or day has caused (SEC-28)."""

    __tablename__ = "tally"

    scope: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    window: Mapped[datetime] = mapped_column("window_start", UtcDateTime, primary_key=True)
    count: Mapped[int] = mapped_column(sa.Integer)


class Gate(Base):
    """One row per rate that all processes share; times are Unix seconds."""

    __tablename__ = "gate"

    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    next_free: Mapped[float] = mapped_column(sa.Double)
    closed_until: Mapped[float] = mapped_column(sa.Double)


class Alarm(Base):
    """Something an operator must look at; shown by doctor and /readyz until it ends."""

    __tablename__ = "alarm"

    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    message: Mapped[str] = mapped_column(sa.String(300))
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    count: Mapped[int] = mapped_column(sa.Integer)


class Site(Base):
    """A collection point: where people sign up, on whose pages, with which words (SEC-21).

    `slug` never changes and is what the ledger and the limits name; `key` stands in addresses
    and may be replaced.
    """

    __tablename__ = "site"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    slug: Mapped[str] = mapped_column(sa.String(40), unique=True)
    key: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    origins: Mapped[list[str]] = mapped_column(sa.JSON)
    about: Mapped[dict[str, str]] = mapped_column(sa.JSON)  # by language: what is texted
    categories: Mapped[list[str]] = mapped_column(sa.JSON)  # slugs offered; none means all
    language: Mapped[str] = mapped_column(sa.String(8))
    country: Mapped[str] = mapped_column(sa.String(2))  # whose national numbers people type
    color: Mapped[str | None] = mapped_column(sa.String(7))
    color_dark: Mapped[str | None] = mapped_column(sa.String(7))
    logo: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    logo_type: Mapped[str | None] = mapped_column(sa.String(20))
    daily_budget: Mapped[int | None] = mapped_column(sa.Integer)  # texts a day, UTC
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SiteKey(Base):
    """A key that a site had before, which still works for a while."""

    __tablename__ = "site_key"

    key: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    site_id: Mapped[int] = mapped_column(sa.ForeignKey("site.id"))
    until: Mapped[datetime] = mapped_column(UtcDateTime)


class Spent(Base):
    """A form token that was redeemed; it is refused until it would be too old anyway (SEC-22)."""

    __tablename__ = "spent"

    nonce: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Ask(Base):
    """A confirm request that a form caused, and whether the phone answered it (SEC-30)."""

    __tablename__ = "ask"
    __table_args__ = (
        sa.Index("ix_ask_prefix_at", "prefix", "at"),
        sa.Index("ix_ask_site_at", "site", "at"),
        sa.Index("ix_ask_country_at", "country", "at"),
        sa.Index(
            "ix_ask_open",
            "person_id",
            sqlite_where=sa.text("confirmed_at IS NULL"),
            postgresql_where=sa.text("confirmed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    prefix: Mapped[str] = mapped_column(sa.String(64))  # keyed hash of the block of numbers
    site: Mapped[str] = mapped_column(sa.String(200))
    country: Mapped[str] = mapped_column(sa.String(2))
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Breaker(Base):
    """A stop that came because hardly anybody confirmed: open until `until` (SEC-30)."""

    __tablename__ = "breaker"
    __table_args__ = (sa.Index("ix_breaker_scope_key_until", "scope", "key", "until"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    scope: Mapped[BreakerScope] = mapped_column(words(BreakerScope))
    key: Mapped[str] = mapped_column(sa.String(200))
    label: Mapped[str] = mapped_column(sa.String(80))  # as people may read it
    tripped_at: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_by: Mapped[str] = mapped_column(sa.String(80), default="")


class ApiKey(Base):
    """What another program shows to enter; only its hash is kept (SEC-39)."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80), unique=True)
    secret_sha256: Mapped[str] = mapped_column(sa.String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
