"""InspectionFeed that all apis of a queue share: a stream that is cut to its last entries."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from flawline.adapters.redis_queue.connection import BLOCK_S, Backoff, RedisError, Server, end
from flawline.adapters.redis_queue.keys import MOST_INSPECTIONS, Keys
from flawline.adapters.redis_queue.wire import STRANGE, inspection_from, inspection_to_json
from flawline.application.watchers import WatchedInspection, Watchers
from flawline.core.values import Inspection

logger = logging.getLogger(__name__)

_MOST_UNSENT = 1_000
_AT_ONCE = 256
_INSPECTION, _API = "inspection", "api"
# What is finished within so long goes in one trip: a watcher notices nothing, and a trip costs as much as a request.
_TOGETHER_S = 0.05
# What the last trip may cost a process that is told to stop.
_LAST_TRIP_S = 0.5


class RedisFeed:
    """Tells those who watch here what this process finished, and sends it to the others; reads what they send.

    During an outage those who watch here hear of this process alone. api: names this process. most: unread
    inspections kept for each who watches.
    """

    def __init__(self, server: Server, keys: Keys, api: str, most: int) -> None:
        self._server = server
        self._key = keys.inspections
        self._api = api
        self._watchers = Watchers(most)
        self._unsent: deque[Inspection] = deque(maxlen=_MOST_UNSENT)
        self._filled = asyncio.Event()
        self._closing = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None

    def publish(self, inspection: Inspection) -> None:
        """Tell those here, and send it soon; when more wait than can be sent, the oldest are dropped."""
        self._watchers.tell(inspection)
        if self._closing.is_set():
            return
        self._unsent.append(inspection)
        self._filled.set()
        if self._sender is None:
            self._sender = asyncio.create_task(self._send(), name="flawline feed sender")

    @asynccontextmanager
    async def watch(self, lines: frozenset[str]) -> AsyncIterator[AsyncIterator[WatchedInspection]]:
        """What is finished from now on; of all lines for an empty set."""
        try:
            with self._watchers.joined(lines) as watched:
                await self._begin_reading()
                yield watched
        finally:
            if not self._watchers:
                await self._stop_reading()

    async def close(self) -> None:
        """Stop; what was not sent yet is sent, if that takes no longer than a moment."""
        self._closing.set()
        self._filled.set()
        if self._sender is not None:
            await asyncio.wait({self._sender}, timeout=_LAST_TRIP_S)
            await end(self._sender)
        await self._stop_reading()

    async def _begin_reading(self) -> None:
        if self._reader is not None:
            return
        last = None  # the reader asks again once the server is back
        with suppress(RedisError):
            last = await self._last_id()
        if self._reader is None:  # another may have come while we asked
            self._reader = asyncio.create_task(self._read(last), name="flawline feed")

    async def _stop_reading(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await end(reader)

    async def _send(self) -> None:
        while not self._closing.is_set():
            await self._filled.wait()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _TOGETHER_S)
            self._filled.clear()
            while self._unsent:
                some = [self._unsent.popleft() for _ in range(min(_AT_ONCE, len(self._unsent)))]
                with suppress(RedisError):  # watchers elsewhere do without
                    await self._send_some(some)

    async def _send_some(self, some: list[Inspection]) -> None:
        trip = self._server.asked.pipeline(transaction=False)
        for inspection in some:
            entry: dict[Any, Any] = {_INSPECTION: inspection_to_json(inspection), _API: self._api}
            trip.xadd(self._key, entry, maxlen=MOST_INSPECTIONS, approximate=True)
        await trip.execute()

    async def _last_id(self) -> bytes:
        """Of the newest entry: what comes after it is news."""
        newest: Any = await self._server.asked.xrevrange(self._key, count=1)
        return bytes(newest[0][0]) if newest else b"0-0"

    async def _resumed(self, last: bytes | None) -> bytes:
        """Where to go on: from the beginning, where the server lost its entries and has an earlier clock."""
        newest = await self._last_id()
        if last is None:
            return newest
        return last if _order_of(newest) >= _order_of(last) else b"0-0"

    async def _read(self, last: bytes | None) -> None:
        backoff, may_be_lost = Backoff(), False
        while True:
            try:
                if last is None or may_be_lost:
                    last = await self._resumed(last)
                news: Any = await self._server.read(
                    self._key, last, round(BLOCK_S * 1000), _AT_ONCE
                )
            except RedisError:
                may_be_lost = True
                await asyncio.sleep(backoff.next_s())
                continue
            may_be_lost = not news  # the server may have been away unseen, between two reads
            backoff.reset()
            for _, entries in news or ():
                for entry_id, fields in entries:
                    last = entry_id
                    if fields.get(_API.encode()) != self._api.encode():
                        self._tell(fields)

    def _tell(self, fields: dict[bytes, bytes]) -> None:
        try:
            inspection = inspection_from(json.loads(fields[_INSPECTION.encode()]))
        except STRANGE as error:  # written by another version, say
            logger.warning("feed_entry_not_understood error=%r", error)
            return
        self._watchers.tell(inspection)


def _order_of(entry_id: bytes) -> list[int]:
    return [int(number) for number in entry_id.split(b"-")]
