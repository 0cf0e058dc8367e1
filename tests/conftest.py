from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis_process import RedisProcess


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A server that all tests share; each takes a namespace of its own."""
    running = RedisProcess(tmp_path_factory.mktemp("redis"))
    yield running
    running.kill()
