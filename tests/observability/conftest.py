from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plant import Plant, running_plant
from redis_process import RedisProcess
from tiny_artifact import write_tiny_artifact


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")  # a dead letter of one file would be another's alert
def plant(
    artifact: Path, redis: RedisProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plant]:
    with running_plant(artifact, redis, tmp_path_factory.mktemp) as running:
        yield running
