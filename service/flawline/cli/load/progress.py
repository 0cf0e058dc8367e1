"""A bar while a load test runs, where a person sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_EVERY_S = 0.25


@asynccontextmanager
async def shown(total_s: float, state: Callable[[], tuple[float, str]]) -> AsyncIterator[None]:
    """While it lasts; state: seconds done and a few words, asked some times a second."""
    console = Console(stderr=True)
    columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        auto_refresh=False,
    ) as bar:
        task = bar.add_task("warming up", total=total_s)

        async def follow() -> None:
            while True:
                done_s, words = state()
                bar.update(task, completed=done_s, description=words, refresh=True)
                await asyncio.sleep(_EVERY_S)

        following = asyncio.create_task(follow()) if console.is_terminal else None
        try:
            yield
        finally:
            if following is not None:
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following
