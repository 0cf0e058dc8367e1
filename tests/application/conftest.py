from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from rig import Rig


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with Rig() as running:
        yield running
