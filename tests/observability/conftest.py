from __future__ import annotations

from pathlib import Path

import pytest
from tiny_artifact import write_tiny_artifact


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_artifact(tmp_path_factory.mktemp("artifact"))
