from __future__ import annotations

import pytest
from scripted_inspector import ScriptedInspector


@pytest.fixture
async def inspector() -> ScriptedInspector:
    return ScriptedInspector()
