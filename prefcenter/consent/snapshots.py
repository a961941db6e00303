"""What is known of numbers at one moment, for permission.py.

One statement for one number, and one for all of many; what only some of them need (suppression,
texts sent, an unusual ledger) is asked for those alone. A text that waits for its effect shows
in the same statement as the person, or is asked for first: worked between two statements, it then
shows in one of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from prefcenter import config, phone
from prefcenter.consent import granting, send_windows
from prefcenter.consent.granting import Entry, Grant
from prefcenter.consent.permission import SPANS, Asked, Rules, Snapshot, is_capped
from prefcenter.consent.send_windows import Home
from prefcenter.driver import Query, Within, listed, moment, stored
from prefcenter.models import Deliverability, OptInLevel, Status
from prefcenter.sms.alarms import MISSED_TEXTS

_LONGEST_SPAN = max(SPANS.values())

_PERSON = """
    p.number, p.id, p.status, p.opt_in_level, p.deliverability, p.frequency, p.paused_until,
    p.country, p.zone, taken.person_id IS NOT NULL"""
# The newest event that has to do with the category; granting.py says what it means. `:mark` is
# the slug in quotes, as it stands in the event's JSON; a chance hit is sorted out there.
_EVENT = "e.public_id, e.at, e.kind, e.source, e.wording_sha256, e.changes"
_JOINS = """
    LEFT JOIN person_category taken ON taken.person_id = p.id AND taken.category_id = {category}
    LEFT JOIN consent_event e ON e.id = CASE
        WHEN p.status = 'subscribed' AND taken.person_id IS NOT NULL THEN (
            SELECT x.id FROM consent_event x
             WHERE x.person_id = p.id
               AND (x.kind IN ('confirmed', 'restarted', 'revoked', 'reassigned', 'erased')
                    OR (x.kind = 'changed' AND {{place}}(x.changes, :mark) > 0))
             ORDER BY x.seq DESC LIMIT 1)
        END"""
# What counts: sent, or reserved and neither released nor expired.
_COUNTED = """
    r.released_at IS NULL AND coalesce(r.sent_at, r.at) > :since
    AND (r.sent_at IS NOT NULL OR r.expires_at > :now)"""
_OF_SLUG = "(SELECT c.id FROM category c WHERE c.slug = :slug)"
_MANY = Query(f"""
    SELECT {_PERSON}, {_EVENT} FROM person p {_JOINS.format(category=_OF_SLUG)}
     WHERE p.number IN ({{each}})
""")
_CATEGORY = Query("SELECT transactional, retired_at IS NOT NULL FROM category WHERE slug = :slug")
_WAITING = Query("SELECT number FROM inbound WHERE handled_at IS NULL")
_STOPPED = Query("SELECT pseudonym FROM suppression WHERE pseudonym IN ({each})")
_SENT = Query(f"""
    SELECT r.person_id, coalesce(r.sent_at, r.at) FROM reservation r
     WHERE r.person_id IN ({{each id}}) AND {_COUNTED}
""")


@cache
def _one(keys: int) -> Query:
    """With so many keyed hashes of the number, as `:hash0` and on: quicker than a list."""
    hashes = ", ".join(f":hash{key}" for key in range(keys))
    return Query(f"""
        SELECT {_PERSON}, {_EVENT}, c.transactional, c.retired_at IS NOT NULL, c.id,
               EXISTS (SELECT 1 FROM inbound i
                        WHERE i.number = :number AND i.handled_at IS NULL),
               EXISTS (SELECT 1 FROM suppression s WHERE s.pseudonym IN ({hashes})),
               EXISTS (SELECT 1 FROM alarm a WHERE a.name = :missed)
          FROM (SELECT 1 AS one) always
          LEFT JOIN category c ON c.slug = :slug
          LEFT JOIN person p ON p.number = :number {_JOINS.format(category="c.id")}
    """)


class Facts(NamedTuple):
    """What of a person's row decides: equal facts of equal homes get equal answers."""

    status: str
    level: str
    deliverability: str
    frequency: str
    paused_until: str | datetime | None
    takes: bool
    stop_waiting: bool
    suppressed: bool
    granted: bool
    home: Home
    sent: tuple[datetime, ...]

    def snapshot(self) -> Snapshot:
        return Snapshot(
            status=Status(self.status),
            level=OptInLevel(self.level),
            deliverability=Deliverability(self.deliverability),
            suppressed=self.suppressed,
            stop_waiting=self.stop_waiting,
            takes=self.takes,
            granted=self.granted,
            frequency=self.frequency,
            paused_until=moment(self.paused_until) if self.paused_until else None,
            home=self.home,
            sent=self.sent,
        )


class Known(NamedTuple):
    """A person, and the event that their consent to the category rests on."""

    facts: Facts
    grant: Grant | None


class Found(NamedTuple):
    """What one statement found; None for what nobody knows."""

    asked: Asked | None
    person: Known | None
    texts_missed: bool  # see alarms.texts_missed


def one(number: str, slug: str, rules: Rules, *, now: datetime, within: Within = None) -> Found:
    """The category and the person of this E.164 number.

    Within a transaction that holds the person it is what is so until that ends.
    """
    keys = config.current().pseudonym_keys
    values = {"number": number, "slug": slug, "mark": f'"{slug}"', "missed": MISSED_TEXTS}
    for turn, key in enumerate(keys):
        values[f"hash{turn}"] = phone.pseudonym(number, key)
    [row] = _one(len(keys)).rows(values, within=within)
    transactional, retired, category, waiting, suppressed, missed = row[16:]
    asked = None if category is None else Asked(slug, bool(transactional), bool(retired))
    if row[0] is None:
        return Found(asked, None, bool(missed))
    grant: Grant | None = None
    sent: Mapping[int, tuple[datetime, ...]] = {}
    if row[10] is not None:
        grant = _grant(row[10:], slug)
        if grant is _UNUSUAL:
            grant = granting.of_ledgers([row[1]], slug, within=within)[row[1]]
        if _capped([row], rules):
            sent = _sent([row[1]], now, within=within)
    facts = _facts(row, waiting, suppressed, grant, sent.get(row[1], ()))
    return Found(asked, Known(facts, grant), bool(missed))


def category(slug: str) -> Asked | None:
    """The category of this name as it is offered now."""
    rows = _CATEGORY.rows({"slug": slug})
    return Asked(slug, bool(rows[0][0]), bool(rows[0][1])) if rows else None


def many(numbers: Iterable[str], slug: str, rules: Rules, *, now: datetime) -> dict[str, Known]:
    """What is known of each of these E.164 numbers; unknown ones are left out."""
    waiting = {row[0] for row in _WAITING.rows({})}
    wanted = {"slug": slug, "mark": f'"{slug}"', "list": listed(sorted(set(numbers)))}
    rows = _MANY.rows(wanted)
    possible = [row for row in rows if row[10] is not None]
    suppressed = _suppressed([row[0] for row in possible])
    sent = _sent([row[1] for row in _capped(possible, rules)], now)
    grants = {row[1]: _grant(row[10:], slug) for row in possible}
    grants |= granting.of_ledgers([id_ for id_, found in grants.items() if found is _UNUSUAL], slug)
    found = {}
    for row in rows:
        number, person = row[0], row[1]
        grant, counted = grants.get(person), sent.get(person, ())
        facts = _facts(row, number in waiting, number in suppressed, grant, counted)
        found[number] = Known(facts, grant)
    return found


def _facts(
    row: Sequence[Any],
    waiting: bool,
    suppressed: bool,
    grant: Grant | None,
    sent: tuple[datetime, ...],
) -> Facts:
    number, _, status, level, deliverability, frequency, paused, country, zone, takes = row[:10]
    granted = grant is not None
    home = send_windows.home_of(number, country, zone) if granted else _NOWHERE
    flags = bool(takes), bool(waiting), bool(suppressed), granted
    return Facts(status, level, deliverability, frequency, paused, *flags, home, sent)


_NOWHERE = Home(())  # of whoever gets nothing anyway
_UNUSUAL = Grant("", "", "", None)  # stands for "ask the whole ledger"


def _grant(event: Sequence[Any], slug: str) -> Grant | None:
    if event[0] is None:
        return None
    entry = Entry(*event[:6])
    return entry.grant() if granting.is_plain(entry, slug) else _UNUSUAL


def _suppressed(numbers: Sequence[str]) -> set[str]:
    """Those that must get nothing; only asked for whoever might get something."""
    keys = config.current().pseudonym_keys
    hidden = {phone.pseudonym(number, key): number for number in numbers for key in keys}
    if not hidden:
        return set()
    rows = _STOPPED.rows({"list": listed(sorted(hidden))})
    return {hidden[pseudonym] for (pseudonym,) in rows}


def _sent(
    people: Sequence[int], now: datetime, *, within: Within = None
) -> Mapping[int, tuple[datetime, ...]]:
    found: dict[int, list[datetime]] = defaultdict(list)
    if people:
        values = {"since": stored(now - _LONGEST_SPAN), "now": stored(now)}
        for person, at in _SENT.rows(values | {"list": listed(sorted(people))}, within=within):
            found[person].append(moment(at))
    return {person: tuple(sorted(moments)) for person, moments in found.items()}


def _capped(rows: Sequence[Any], rules: Rules) -> list[Any]:
    """Those whose texts of late can matter: by their own cap, the brand's, or their state's."""
    if is_capped(rules.brand_cap):
        return list(rows)
    by_state: dict[int, bool] = {}  # by home: those of one area code are the same object
    found = []
    for row in rows:
        capped = is_capped(row[5])
        if not capped and row[7] == "US":
            home = send_windows.home_of(row[0], row[7], row[8])
            if id(home) not in by_state:
                cap = send_windows.daily_cap(home, rules.book)
                by_state[id(home)] = cap is not None
            capped = by_state[id(home)]
        if capped:
            found.append(row)
    return found
