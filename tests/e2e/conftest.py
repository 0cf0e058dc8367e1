from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from server_process import ServerProcess
from tiny_artifact import write_tiny_artifact


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def server(artifact: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(artifact, lines="press-1,press-2", max_body_bytes="2000000")
    yield server
    server.terminate()
    assert server.exit_code() == 0, server.log
    assert "Traceback" not in server.log
