"""The connection to Redis: short time limits, one place for retries, and whether it works."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,  # noqa: A004 - redis-py's own, which is not the builtin
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from flawline.adapters.redis_queue.keys import Keys
from flawline.adapters.redis_queue.link import KnownAway, Link

logger = logging.getLogger(__name__)

T = TypeVar("T")

__all__ = [
    "Backoff",
    "KnownAway",
    "OutOfMemoryError",
    "RedisError",
    "RedisTimeoutError",
    "ResponseError",
    "Server",
    "end",
    "lost",
]

BLOCK_S = 1.0
"""How long a read waits at the server. The socket's limit must be longer, or it ends the read."""
_BLOCK_MARGIN_S = 3.0
_COMMAND_CONNECTIONS = 16
_HEALTH_CHECK_S = 15
_PROTOCOL = 2
_CANCEL_AGAIN_S = 0.1
# It answers, and can keep nothing: its disk is full, for one.
_CANNOT_WRITE = "MISCONF"
# Saving an outcome and giving back memory must work when memory has run out. `submit` and `piece`, of the older
# kind without a first line, are refused by their first write then, and `room` before it begins.
_FIRST_LINES = {"submit": "", "piece": "", "room": "#!lua\n"}
_WHEN_OUT_OF_MEMORY_TOO = "#!lua flags=allow-oom\n"


def lost(what: str, error: RedisError) -> None:
    """A line of log for what was not done; none where the server's absence was told already."""
    if not isinstance(error, KnownAway):
        logger.warning("%s error=%s", what, error)


class Backoff:
    """Longer pauses after each failure in a row, with jitter, so that many do not come at once."""

    def __init__(self, first_s: float = 0.02, most_s: float = 0.5) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s

    def next_s(self) -> float:
        """How long to pause now."""
        pause_s = self._next_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._next_s = min(self._next_s * 2, self._most_s)
        return pause_s

    def reset(self) -> None:
        """It worked."""
        self._next_s = self._first_s


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until they have ended: a cancellation can get lost inside redis-py."""
    while open_tasks := [task for task in tasks if not task.done()]:
        for task in open_tasks:
            task.cancel()
        await asyncio.wait(open_tasks, timeout=_CANCEL_AGAIN_S)


class _Again(Retry):
    """A lost connection is tried again at once: every script may run twice.

    A timeout is not: a server that does not answer would be waited for several times. A server that has become a
    replica keeps its connections: only a new one leads to what has taken its place behind the same address. `moved` is
    told, since a read does not fail there; it must be a function, for each connection has a deep copy of this.
    """

    def __init__(self, moved: Callable[[], None]) -> None:
        super().__init__(
            ExponentialBackoff(cap=0.2, base=0.02), 2, (ConnectionError, ReadOnlyError)
        )
        self._moved = moved

    async def call_with_retry(self, do: Callable[[], Awaitable[T]], *how: Any, **options: Any) -> T:
        """As redis-py has it."""

        async def tried() -> T:
            try:
                return await do()
            except ReadOnlyError:
                self._moved()
                raise

        return await super().call_with_retry(tried, *how, **options)


class Server:
    """One Redis, spoken to in scripts; `url` may be redis://, rediss:// or unix://.

    command_timeout_s bounds each command but the blocking reads. Raises ValueError for a url that is none.
    """

    def __init__(self, url: str, keys: Keys, command_timeout_s: float) -> None:
        self.link = Link()
        self._moved = False

        def moved() -> None:
            self._moved = True

        again = _Again(moved)
        self.commands = _client(url, command_timeout_s, again, max_connections=_COMMAND_CONNECTIONS)
        self.blocking = _client(url, BLOCK_S + _BLOCK_MARGIN_S, Retry(NoBackoff(), 0))
        self._prelude = keys.lua() + _source("common")
        self._scripts: dict[str, Any] = {}

    @property
    def asked(self) -> Redis:
        """`commands`, for what can be done without the server. Raises KnownAway once it is away.

        A server that hangs would be waited for each time: by an api that inspects by itself then, for as long as its
        callers' deadlines.
        """
        self.link.refuse_when_down()
        return self.commands

    async def ask(self, name: str, *arguments: str | bytes | int) -> Any:
        """As `run`, for a script that can be done without. Raises KnownAway as `asked` does."""
        self.link.refuse_when_down()
        return await self.run(name, *arguments)

    async def run(self, name: str, *arguments: str | bytes | int) -> Any:
        """The reply of a script; makes streams and group where they are missing."""
        try:
            reply = await self._run(name, arguments)
        except ResponseError as error:
            if str(error).startswith(_CANNOT_WRITE) or isinstance(error, ReadOnlyError):
                self.link.failed(error)
                raise
            if "NOGROUP" not in str(error) and "no such key" not in str(error):
                if not isinstance(error, OutOfMemoryError):
                    self.link.refused(name, error)
                raise
            await self._run("setup", ())
            reply = await self._run(name, arguments)
        except (ConnectionError, RedisTimeoutError, BusyLoadingError) as error:
            self.link.failed(error)
            raise
        back, self._moved = self._moved or not self.link.answers, False
        self.link.worked()
        self.link.ran(name)
        if back:
            # A read that was open meanwhile may wait on a connection that died, or at a replica, for seconds more. So
            # a read that fails says nothing of the server; commands do.
            await self.blocking.connection_pool.disconnect()
        return reply

    async def look_for_room(self) -> None:
        """Note it when memory that had run out is there again. Raises RedisError."""
        if not self.link.full:
            return
        with suppress(OutOfMemoryError):
            await self.run("room")
            self.link.emptied()

    async def read(
        self, key: str, last: str | bytes, block_ms: int, count: int | None = None
    ) -> Any:
        """What came to a stream after the entry `last`; waits for it. Raises RedisError."""
        try:
            return await self.blocking.xread({key: last}, count=count, block=block_ms)
        except (AttributeError, RuntimeError, OSError) as error:
            # `run` closed this connection, once the server was back, while redis-py was about to
            # use it. It must not end those who read for good.
            raise ConnectionError("the connection was closed while it was used") from error

    async def close(self) -> None:
        """Close all connections."""
        await self.commands.aclose()
        await self.blocking.aclose()

    async def _run(self, name: str, arguments: Sequence[str | bytes | int]) -> Any:
        if name not in self._scripts:
            first_line = _FIRST_LINES.get(name, _WHEN_OUT_OF_MEMORY_TOO)
            text = first_line + self._prelude + _source(name)
            self._scripts[name] = self.commands.register_script(text)
        return await self._scripts[name](args=arguments)


def _client(url: str, timeout_s: float, retry: Retry, max_connections: int | None = None) -> Redis:
    _refuse_odd_database(url)
    # redis-py's connection by a socket file does not know the word: there is no network to watch.
    keepalive = {} if url.startswith("unix://") else {"socket_keepalive": True}
    ours = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "protocol": _PROTOCOL}
    most = max_connections or 1024
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=most,
        timeout=timeout_s,
        health_check_interval=_HEALTH_CHECK_S,
        retry=retry,
        client_name="flawline",
        **ours,
        **keepalive,
    )
    _refuse_odd_options(pool, ours, most)
    return Redis.from_pool(pool)  # which closes it too


def _refuse_odd_database(url: str) -> None:
    """Raises ValueError for a path that is no number: redis-py would take database 0, which others may share."""
    address = urlsplit(url)
    database = unquote(address.path).strip("/")
    if address.scheme != "unix" and database and not (database.isascii() and database.isdigit()):
        raise ValueError("the address names a database by something else than its number")


def _refuse_odd_options(
    pool: BlockingConnectionPool, ours: Mapping[str, float], max_connections: int
) -> None:
    """Raises ValueError for what stands behind `?` in the address, and would fail commands later.

    ours: options whose values no address may change.
    """
    try:
        # It takes the options; nothing is connected yet.
        pool.make_connection()  # type: ignore[no-untyped-call]
    except (TypeError, RedisError) as error:
        raise ValueError("the address has an option that redis-py does not take") from error
    options = pool.connection_kwargs
    if options.get("decode_responses") or any(options[name] != ours[name] for name in ours):
        raise ValueError("the address has an option that changes replies, or how long is waited")
    # A read that blocks holds its connection; who finds none left waits.
    if pool.max_connections != max_connections:
        raise ValueError("the address bounds the connections")


def _source(name: str) -> str:
    return (files(__package__) / "lua" / f"{name}.lua").read_text("utf-8")
