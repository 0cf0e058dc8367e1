"""Work for a caller that ends when he hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from flawline.adapters.rest.problems import RefusedError

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; it is cancelled when the connection is closed before that.

    The body must have been read. Raises RefusedError for the log's sake: nobody reads the answer.
    """
    working = asyncio.create_task(work)
    listening = asyncio.create_task(_hung_up(request))
    either: set[asyncio.Task[Any]] = {working, listening}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise RefusedError(400, "client_gone", "The connection was closed before the answer.")
    finally:
        working.cancel()
        listening.cancel()
        await asyncio.gather(*either, return_exceptions=True)
        del either, working  # as in `within`


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
