"""Watching what is inspected: on one connection, or on one after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc

from flawline.client.answers import WatchedInspection
from flawline.client.attempts import Failure, Pauses
from flawline.client.errors import AwayError
from flawline.client.wire import failure_of, inspection_from


class Watch:
    """What one watcher hears.

    start: calls WatchInspections. reconnect: where the connection cannot be made, or ends, make another; else
    `open` and `news` raise AwayError.
    """

    def __init__(
        self, start: Callable[[], grpc.aio.UnaryStreamCall], *, reconnect: bool = False
    ) -> None:
        self._start = start
        self._reconnect = reconnect
        self._call: grpc.aio.UnaryStreamCall | None = None
        self._pauses = Pauses()
        self._missed = 0
        self._gaps = 0
        self._was_there = False

    async def open(self) -> None:
        """Hear of what is finished from now on. Raises AwayError; RefusedError."""
        while (failure := await self._opened()) is not None:
            await self._or_give_up(failure)

    async def news(self) -> AsyncIterator[WatchedInspection]:
        """Inspections as they are finished. Raises as `open`."""
        while self._call is not None:
            failure = None
            missed_before = self._missed
            try:
                async for message in self._call:
                    self._pauses.reset()
                    self._missed = missed_before + message.missed
                    inspection = inspection_from(message.inspection)
                    yield WatchedInspection(inspection, self._missed, self._gaps)
            except grpc.aio.AioRpcError as error:
                failure = failure_of(error, was_there=self._was_there)
            await self._or_give_up(failure or Failure("ended", "The service ended the stream."))
            self._gaps += 1
            await self.open()

    def close(self) -> None:
        """Hear of nothing more."""
        if self._call is not None:
            self._call.cancel()

    async def _opened(self) -> Failure | None:
        self.close()
        self._call = call = self._start()
        try:
            await call.initial_metadata()
            if call.done():  # refused: the next read says why
                await call.read()
        except grpc.aio.AioRpcError as error:
            return failure_of(error, was_there=self._was_there)
        self._was_there = True
        return None

    async def _or_give_up(self, failure: Failure) -> None:
        """Pause before the next connection, if there is to be one. Raises AwayError."""
        if not self._reconnect:
            raise AwayError(failure.code, failure.detail)
        await asyncio.sleep(self._pauses.next_s(failure.retry_after_s))
