"""The body of a request as it arrives, bounded in bytes and in time, whichever protocol brings it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from flawline.application.inspector import Inspector

T = TypeVar("T")


class BodyTooLarge(Exception):  # noqa: N818 - each protocol has its own words for it
    """There is more of it than is allowed."""


class BodyTooSlow(Exception):  # noqa: N818 - as above
    """It did not arrive in time."""


def expected_bytes(content_length: str, most_bytes: int) -> int:
    """What it will take by its head: 0 where no length is declared, since most are small. Raises BodyTooLarge."""
    if not content_length.isdecimal():
        return 0
    if int(content_length) > most_bytes:
        raise BodyTooLarge
    return int(content_length)


async def counted(
    chunks: AsyncIterator[bytes], most_bytes: int, reached: Callable[[int], object]
) -> AsyncIterator[bytes]:
    """The same, as long as they are no more together: a length need not be declared.

    reached: told how many bytes there are by now. Raises BodyTooLarge, and what `reached` raises.
    """
    length = 0
    async for chunk in chunks:
        length += len(chunk)
        if length > most_bytes:
            raise BodyTooLarge
        reached(length)
        yield chunk


async def whole(
    chunks: AsyncIterator[bytes],
    most_bytes: int,
    reached: Callable[[int], object] = lambda _: None,
) -> bytes:
    """All of them. Raises as `counted`."""
    return b"".join([chunk async for chunk in counted(chunks, most_bytes, reached)])


async def arrived(body: Coroutine[Any, Any, T], inspector: Inspector, timeout_s: float) -> T:
    """What reading the body gives.

    Raises BodyTooSlow, NotReady when the service is told to stop before it has arrived, and what reading raises.
    """
    reading = asyncio.create_task(body)
    try:
        await asyncio.sleep(0)  # most bodies arrive with their heads, and have been read now
        if not reading.done():
            await _read_or_draining(reading, inspector, timeout_s)
        if reading.done():
            return reading.result()
        inspector.check_ready()
        raise BodyTooSlow
    finally:
        if not reading.done():
            reading.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await reading
        del reading  # as in `within`


async def _read_or_draining(
    reading: asyncio.Task[Any], inspector: Inspector, timeout_s: float
) -> None:
    closing = asyncio.create_task(inspector.until_draining())
    try:
        await asyncio.wait(
            {reading, closing}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        closing.cancel()
