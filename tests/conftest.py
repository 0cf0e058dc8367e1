from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_process import RedisProcess, RedisStarter


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A server that all tests share; each takes a namespace of its own."""
    folder = tmp_path_factory.mktemp("redis")
    running = RedisProcess(folder, unixsocket=str(folder / "sock"))
    yield running
    running.kill()


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[RedisStarter]:
    """Starts servers of a test's own, to be killed and frozen; options as on the command line."""
    started: list[RedisProcess] = []

    def start(**options: str) -> RedisProcess:
        started.append(RedisProcess(tmp_path, **options))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """A command that a test runs in this process sets the level of our log; the next test finds it as it was."""
    ours = logging.getLogger("flawline")
    before = ours.level
    yield
    ours.setLevel(before)
