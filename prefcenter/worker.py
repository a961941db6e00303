"""PostgreSQL's sender: Procrastinate workers, on any number of machines.

A job names a row; the row is the truth. Retries and rescues are ours (sms/delivery.py),
never Procrastinate's: its own would give up and leave our row saying otherwise.
"""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import psycopg
import sqlalchemy as sa
from flask import Flask
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ProcrastinateException
from procrastinate.jobs import Status as JobStatus

from prefcenter import clock, config, sending, telling
from prefcenter.database import db, writing
from prefcenter.hearing import Listener
from prefcenter.models import OutboxMessage, OutboxStatus, Signup
from prefcenter.pacing import Caller
from prefcenter.sms import jobs
from prefcenter.sms.sender import Sender

log = logging.getLogger(__name__)

_ORPHAN_AFTER = timedelta(seconds=30)
_STOP_WAIT = 25.0
_AGAIN_AFTER = 2.0
_DEAD_AFTER = 60.0
Done = TypeVar("Done")


def run(app: Flask, sender: Sender) -> None:
    """Work until SIGTERM or SIGINT; calls in the air may finish. Outlives the database."""
    halting = threading.Event()
    with telling.beside(app, halting):
        asyncio.run(_run(app, sender, halting))


async def _run(app: Flask, sender: Sender, halting: threading.Event) -> None:
    settings: config.Settings = app.extensions["prefcenter"]
    caller = Caller(sender, settings.sends_per_second)
    stopping = asyncio.Event()

    def stop() -> None:
        stopping.set()
        halting.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop)
    log.info("the worker works", extra={"threads": settings.sender_threads})
    while not stopping.is_set():
        try:
            await _work(app, caller, stopping)
        except (OSError, psycopg.Error, ProcrastinateException) as error:
            log.error("the worker lost the database", extra={"error": type(error).__name__})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _AGAIN_AFTER)
    log.info("the worker stops")


async def _work(app: Flask, caller: Caller, stopping: asyncio.Event) -> None:
    """One connection's worth of work: until told to stop, or the database is gone."""
    settings: config.Settings = app.extensions["prefcenter"]
    url = settings.database_url.replace("postgresql+psycopg://", "postgresql://", 1)
    queue_app = App(connector=PsycopgConnector(conninfo=url, min_size=1, max_size=4, timeout=5))
    _add_tasks(queue_app, app, caller)
    async with queue_app.open_async():
        worker = asyncio.create_task(
            queue_app.run_worker_async(
                queues=[jobs.QUEUE],
                concurrency=settings.sender_threads,
                delete_jobs="always",
                shutdown_graceful_timeout=_STOP_WAIT,
                fetch_job_polling_interval=1.0,
                install_signal_handlers=False,
            )
        )
        told = asyncio.create_task(stopping.wait())
        listening = asyncio.create_task(_listen(app))
        await asyncio.wait({worker, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        listening.cancel()
        if not worker.done():
            worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker


async def _listen(app: Flask) -> None:
    """Work the texts that came in and were only stored, until cancelled."""
    listener, rest = Listener(), 0.0
    while True:
        await asyncio.sleep(max(rest, 0.01))  # nothing tells of a row that another host stored
        try:
            rest = await _in_thread(app, listener.turn)
        except Exception as error:  # whatever it is, the next text may be a STOP
            log.error("the inbox cannot be read", extra={"error": type(error).__name__})
            rest = _AGAIN_AFTER


def _add_tasks(queue_app: App, app: Flask, caller: Caller) -> None:
    @queue_app.task(name=jobs.ADMIT, queue=jobs.QUEUE)
    def admit(id: int) -> None:
        with app.app_context():
            sending.admit(id)

    @queue_app.task(name=jobs.DELIVER, queue=jobs.QUEUE)
    def deliver(id: int) -> None:
        with app.app_context():
            sending.deliver(id, caller)

    # Procrastinate's cron has the seconds last: every ten seconds, once per cluster.
    @queue_app.periodic(cron="* * * * * */10")
    @queue_app.task(name="prefcenter.sweep", queue=jobs.QUEUE, queueing_lock="sweep")
    async def sweep(timestamp: int) -> None:
        await _drop_stalled(queue_app)
        await _in_thread(app, _sweep)


async def _in_thread(app: Flask, work: Callable[[], Done]) -> Done:
    def inside() -> Done:
        with app.app_context():
            return work()

    return await asyncio.to_thread(inside)


def _sweep() -> None:
    """Settle what dead workers left, and defer again what has no job to bring it up."""
    sending.rescue()
    with writing():
        late = clock.now() - _ORPHAN_AFTER
        due = sa.select(OutboxMessage.id).where(
            OutboxMessage.status == OutboxStatus.QUEUED, OutboxMessage.due_at < late
        )
        forms = sa.select(Signup.id).where(Signup.created_at < late)
        for task, query in ((jobs.DELIVER, due), (jobs.ADMIT, forms)):
            rows = list(db.session.scalars(query.limit(500)))
            for row in set(rows) - jobs.waiting(task, rows):
                jobs.defer(task, row)
        db.session.commit()


async def _drop_stalled(queue_app: App) -> None:
    """Forget the jobs of workers that died; `_sweep` defers their rows anew."""
    manager = queue_app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=_DEAD_AFTER):
        await manager.finish_job(job, status=JobStatus.FAILED, delete_job=True)
