"""`WatchInspections`: hands on what the feed brings, until the client or the server has enough."""

from __future__ import annotations

import asyncio

import grpc

from flawline.adapters.grpc_api.convert import inspection_to_wire
from flawline.adapters.grpc_api.statuses import WireError, stopping, wire_error
from flawline.application.ports import InspectionFeed
from flawline.application.request import checked_line
from flawline.core.errors import InvalidRequest
from flawline.rpc.v1 import inspection_pb2 as pb

_MOST_LINES = 256


class Watches:
    """Serves the calls of WatchInspections, until it is closed."""

    def __init__(self, feed: InspectionFeed) -> None:
        self._feed = feed
        self._closed = asyncio.Event()

    def close(self) -> None:
        """End all of them: none ends by itself, and each would cost the whole grace of a stop."""
        self._closed.set()

    async def serve(
        self, request: pb.WatchInspectionsRequest, context: grpc.aio.ServicerContext
    ) -> WireError | None:
        """One call, which ends with an error or is cancelled."""
        try:
            lines = _lines_of(request)
        except InvalidRequest as error:
            return wire_error(error)
        telling = asyncio.create_task(self._tell(lines, context))
        closed = asyncio.create_task(self._closed.wait())
        try:
            await asyncio.wait((telling, closed), return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
            return stopping()
        finally:
            telling.cancel()
            closed.cancel()

    async def _tell(self, lines: frozenset[str], context: grpc.aio.ServicerContext) -> None:
        async with self._feed.watch(lines) as watched:
            await context.send_initial_metadata(())  # from now on nothing is missed
            async for news in watched:
                await context.write(
                    pb.WatchInspectionsResponse(
                        inspection=inspection_to_wire(news.inspection), missed=news.missed
                    )
                )


def _lines_of(request: pb.WatchInspectionsRequest) -> frozenset[str]:
    if len(request.lines) > _MOST_LINES:
        raise InvalidRequest("lines", f"Name at most {_MOST_LINES} lines, or none for all.")
    return frozenset(checked_line(line) for line in request.lines)
