"""Choosing by text, for phones without data: LESS, WEEKLY, MONTHLY, PAUSE, RESUME, MENU.

While texts are off a wish is kept for when they are on: the START that it followed may arrive
behind it (REL-12). A cap counts at once, a pause from the START or the confirmation on.
"""

from datetime import datetime

from prefcenter import config
from prefcenter.consent import order, pausing, people, preferences, replies
from prefcenter.consent.heard import Heard, Result, note, someone
from prefcenter.consent.keywords import Word
from prefcenter.models import Person, Status, TextKind

WORDS = (Word.LESS, Word.WEEKLY, Word.MONTHLY, Word.PAUSE, Word.RESUME, Word.MENU)
_FIXED = {Word.WEEKLY: "1/week", Word.MONTHLY: "1/month"}
_PAUSE = "1m"


def obey(person: Person | None, heard: Heard, *, now: datetime) -> Result:
    """Do what the word says for a subscriber, and answer in one part; else keep it for later."""
    word = heard.reading.word
    on = word is not None and _is_offered(word)
    is_on = person is not None and person.status is Status.SUBSCRIBED
    lapsed = person is not None and people.is_lapsed(person)
    if not on or lapsed or (word is Word.MENU and not is_on):
        return Result("kept", replies.nobody(heard))
    person = someone(person, heard, now=now)
    if word is Word.MENU:
        return _answer(person, heard, TextKind.MENU, "menu", now)
    if word in (Word.PAUSE, Word.RESUME):
        return _pause(person, heard, now)
    return _frequency(person, heard, now)


def _is_offered(word: Word) -> bool:
    settings = config.current()
    cap_is_known = word not in _FIXED or _FIXED[word] in settings.frequencies
    return word.value.upper() in settings.text_commands and cap_is_known


def _pause(person: Person, heard: Heard, now: datetime) -> Result:
    off = heard.reading.word is Word.PAUSE
    kind = TextKind.PAUSED if off else TextKind.RESUMED
    if _is_late(order.history(person).pause, heard):
        return _late(person, heard, now)
    until = pausing.end_of(person, _PAUSE, now=now).isoformat() if off else None
    wish = {order.WISHED_PAUSE: until} if until else {}
    if person.status is not Status.SUBSCRIBED:
        return _keep(person, heard, now, **wish)
    reply = replies.decide(heard, kind, now=now)
    said, proof = heard.said(heard.label, reply), heard.proof(person)
    if off:
        done = pausing.pause(person, _PAUSE, proof=proof, now=now, said=said)
    else:
        done = pausing.resume(person, proof=proof, now=now, said=said)
    if done is preferences.Result.ALREADY:  # said all the same: an older one may still come
        note(person, heard, heard.label, reply, now=now, **wish)
    replies.send(person, kind, reply, now=now)
    return Result(kind.value, reply)


def _frequency(person: Person, heard: Heard, now: datetime) -> Result:
    """A cap that the owner offers; LESS takes the next one down.

    A cap that arrives behind a LESS that was said after it is lowered by that LESS too.
    """
    past, said_at = order.history(person), heard.text.said_at
    if _is_late(past.frequency, heard):
        return _late(person, heard, now)
    wanted = _FIXED.get(heard.reading.word or Word.LESS, "")
    for _ in [at for at in past.lesses if wanted and said_at and at > said_at]:
        wanted = _next_down(wanted)
    wanted = wanted or _next_down(preferences.cap_of(person))
    if person.status is not Status.SUBSCRIBED:
        return _keep(person, heard, now, frequency=wanted)
    reply = replies.decide(heard, TextKind.PREFERENCES, now=now)
    said, proof = heard.said(heard.label, reply), heard.proof(person)
    done = preferences.choose(person, frequency=wanted, proof=proof, now=now, said=said)
    if done is preferences.Result.ALREADY:
        note(person, heard, heard.label, reply, now=now)
    replies.send(person, TextKind.PREFERENCES, reply, now=now)
    return Result("frequency", reply)


def _next_down(frequency: str) -> str:
    """The highest cap on offer below this one; the lowest stays the lowest."""
    offered = sorted(config.current().frequencies, key=preferences.texts_a_month)
    now = preferences.texts_a_month(frequency)
    lower = [one for one in offered if preferences.texts_a_month(one) < now]
    return lower[-1] if lower else offered[0]


def _answer(person: Person, heard: Heard, kind: TextKind, what: str, now: datetime) -> Result:
    reply = replies.decide(heard, kind, now=now)
    replies.send(person, kind, reply, now=now)
    return Result(what, reply)


def _keep(person: Person, heard: Heard, now: datetime, **wish: str) -> Result:
    """A wish of somebody whose texts are off; no answer, because nothing changes yet."""
    nobody = replies.nobody(heard)
    note(person, heard, heard.label, nobody, now=now, **wish)
    return Result("kept", nobody)


def _is_late(newest: datetime | None, heard: Heard) -> bool:
    text = heard.text
    return order.overtaken(newest, text.said_at, heard_at=text.received_at)


def _late(person: Person, heard: Heard, now: datetime) -> Result:
    nobody = replies.nobody(heard)
    note(person, heard, heard.label, nobody, now=now)
    return Result("overtaken", nobody)
