"""`prefcenter verify --certificate`: checks one file, with or without the database."""

from pathlib import Path

import click
import sqlalchemy as sa
from flask.cli import with_appcontext

from prefcenter.cli_common import need_tables, report
from prefcenter.database import read
from prefcenter.models import ConsentEvent
from prefcenter.models_staff import StaffAction
from prefcenter.upkeep import belongings, certificate_check
from prefcenter.upkeep.certificate_check import Told

_events, _actions = ConsentEvent.__table__.c, StaffAction.__table__.c
_HEAD_THEN = sa.select(_events.hash).where(
    _events.person_id == sa.bindparam("person"), _events.seq == sa.bindparam("seq")
)
_ISSUED = sa.select(_actions.details).where(
    _actions.action == "certificate_taken", _actions.subject == sa.bindparam("subject")
)


def verify(path: Path, as_json: bool, *, against_database: bool) -> None:
    """Say what is wrong with a file; ends with 1 where anything is."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}.") from error
    faults, told = certificate_check.examine(data)
    good = "The certificate is whole."
    if against_database and told is not None:
        faults += _differences(told)
        good += " It is as it was issued, and the ledger says the same."
    report(faults, as_json, good)


@with_appcontext
def _differences(told: Told) -> list[str]:
    need_tables()
    person = belongings.person_of(told.person)
    then = None
    if person is not None:
        rows = read(_HEAD_THEN, {"person": person.id, "seq": told.seq})
        then = rows[0].hash if rows else None
    issued = [row.details.get("sha256") for row in read(_ISSUED, {"subject": told.person})]
    return certificate_check.against(told, person, then, issued)
