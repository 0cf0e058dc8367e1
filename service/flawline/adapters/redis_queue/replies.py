"""Outcomes on their way to those who wait in this process: one reader for all of them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from flawline.adapters.redis_queue.connection import BLOCK_S, Backoff, RedisError, Server, end
from flawline.adapters.redis_queue.wire import NotUnderstood, outcome_from_wire
from flawline.application.failures import new_error_id
from flawline.application.job import Abandoned, Failed, JobOutcome

logger = logging.getLogger(__name__)

_AT_ONCE = 256
_DELETED_AT_ONCE = 64


class Replies:
    """The stream that holds this process's outcomes until they are read."""

    def __init__(self, server: Server, key: str) -> None:
        self.key = key
        self._server = server
        self._last = "0-0"
        self._read_ids: list[bytes] = []  # of entries that are still there
        self._awaited: dict[str, asyncio.Future[JobOutcome]] = {}
        self._reader: asyncio.Task[None] | None = None

    def expect(self, job_id: str) -> None:
        """Whatever comes for this job is kept for `outcome`."""
        self._awaited[job_id] = asyncio.get_running_loop().create_future()
        if self._reader is None:
            self._reader = asyncio.create_task(self._read(), name="flawline replies")

    def forget(self, job_id: str) -> None:
        """Whoever still waits for it learns that there is none; harmless when it is not known."""
        future = self._awaited.pop(job_id, None)
        if future is not None and not future.done():
            future.set_result(Abandoned())

    async def outcome(self, job_id: str) -> JobOutcome:
        """Wait for it. Raises KeyError for a job that is not expected."""
        # Shielded: whoever stops waiting must not take the outcome from others who wait.
        outcome = await asyncio.shield(self._awaited[job_id])
        self._awaited.pop(job_id, None)
        return outcome

    async def close(self) -> list[str]:
        """Read what has come, and say who got nothing: those waits end with Abandoned."""
        if self._reader is None:
            return []
        await end(self._reader)
        try:
            self._settle(await self._server.commands.xread({self.key: self._last}))
            await self._server.commands.delete(self.key)
        except RedisError:
            pass  # it is closing; the key goes with disuse
        unanswered = [job_id for job_id, future in self._awaited.items() if not future.done()]
        for job_id in unanswered:
            self._awaited[job_id].set_result(Abandoned())
        return unanswered

    async def _read(self) -> None:
        backoff = Backoff()
        while True:
            try:
                news = await self._server.read(
                    self.key, self._last, round(BLOCK_S * 1000), _AT_ONCE
                )
                self._read_ids += self._settle(news)
                if not news:
                    self._begin_anew()
                # While more are on their way, not for each of them.
                if len(self._read_ids) >= _DELETED_AT_ONCE or not self._some_awaited:
                    await self._delete_read()
            except RedisError:  # noqa: PERF203 - an outage ends no loop
                self._begin_anew()
                await asyncio.sleep(backoff.next_s())
            else:
                backoff.reset()

    def _begin_anew(self) -> None:
        """Read all that is there, which costs nothing where it was read before.

        A server that lost its data, and has an earlier clock, numbers entries lower than before. It may have been away
        unseen, between two reads.
        """
        self._last = "0-0"

    @property
    def _some_awaited(self) -> bool:
        return any(not future.done() for future in self._awaited.values())

    async def _delete_read(self) -> None:
        if entry_ids := self._read_ids:
            await self._server.commands.xdel(self.key, *entry_ids)
            self._read_ids = []

    def _settle(self, news: Any) -> list[bytes]:
        """Hand on what was read; returns the ids of the entries."""
        entry_ids = []
        for _, entries in news or ():
            for entry_id, fields in entries:
                entry_ids.append(entry_id)
                self._last = entry_id
                job_id = fields.get(b"id", b"").decode(errors="replace")
                future = self._awaited.get(job_id)
                if future is not None and not future.done():
                    future.set_result(_outcome(job_id, fields.get(b"outcome", b"")))
        return entry_ids


def _outcome(job_id: str, text: bytes) -> JobOutcome:
    try:
        return outcome_from_wire(text)
    # Written by another version, say; the others are still to be read.
    except NotUnderstood as error:
        error_id = new_error_id()
        logger.error(  # noqa: TRY400 - where it was read tells nothing
            "outcome_not_understood inspection_id=%s error_id=%s: %s",
            *(job_id, error_id, error),
        )
        return Failed(error_id)
