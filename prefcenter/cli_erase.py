"""`prefcenter erase`: forget somebody who asked for it by letter or phone (RULE-41, RULE-63).

The same rule as the button on their page. Without --yes it says what would go, and changes
nothing (SEC-46).
"""

from datetime import datetime

import click
from flask.cli import with_appcontext

from prefcenter import clock, config, phone
from prefcenter.cli_common import caller, example, need_tables, number_given
from prefcenter.consent import people
from prefcenter.database import clear_log, db, writing
from prefcenter.models import Person
from prefcenter.phone import Number
from prefcenter.staff import activity
from prefcenter.upkeep import belongings, erasure
from prefcenter.upkeep.erasure import Erased


@click.command("erase")
@click.option("--reason", required=True, help="Why, for the ledger and the admin log.")
@click.option("--yes", is_flag=True, help="Do it; else only say what would go.")
@example("echo +12025550143 | prefcenter erase --reason 'Letter of 3 May' --yes")
@with_appcontext
def command(reason: str, yes: bool) -> None:
    """Forget whoever has the number on standard input: for good, also in the file on disk.

    That something happened and when stays, with no name to it, and the number as a keyed hash
    among those that get nothing. Run it again if it was cut short.
    """
    need_tables()
    number, now = number_given(), clock.now()
    with writing():
        person = _held(number, now)
        former = belongings.former_owners(person) if person else []
        done = _erase(person, reason.strip(), now) if person else None
        if done and yes:
            db.session.commit()
        else:
            db.session.rollback()
    if yes:
        clear_log()  # also where an earlier run came so far and no further
    masked = phone.mask(number.e164)
    if done is None:
        raise click.ClickException(f"Nothing is kept of anybody who has {masked}.")
    click.echo(("Erased: " if yes else "Would be erased: ") + _told(done))
    if former:
        click.echo(
            "Somebody else had this number before; erase them on their page:\n  "
            + "\n  ".join(f"{config.current().public_url}/admin/people/{one}" for one in former)
        )
    if not yes:
        raise click.ClickException(f"Nothing was changed; --yes erases whoever has {masked}.")


def _held(number: Number, now: datetime) -> Person | None:
    """The person of this number; a row for a stranger of whom there are texts or forms."""
    person = people.by_number(number.e164)
    if person is None and belongings.is_known(number.e164):
        language = config.current().default_language
        person = people.enrol(number.e164, number.country or "ZZ", language, now=now)
    return person


def _erase(person: Person, reason: str, now: datetime) -> Erased | None:
    who = caller()
    done = erasure.erase(person, by=who, reason=reason, now=now)
    if done is not None:
        details = {"texts": done.texts_out + done.texts_in, "evidence": done.evidence}
        subject = person.public_id
        activity.record(
            *(who, "person_erased"), subject=subject, reason=reason, details=details, now=now
        )
    return done


def _told(done: Erased) -> str:
    counts = {
        "pieces of evidence": done.evidence,
        "texts to them": done.texts_out,
        "texts from them": done.texts_in,
        "forms that wait": done.forms,
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items()) + "."
