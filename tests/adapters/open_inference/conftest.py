from __future__ import annotations

import pytest
from open_inference_bench import OpenInferenceBench
from scripted_inspector import ScriptedInspector


@pytest.fixture
async def bench(inspector: ScriptedInspector) -> OpenInferenceBench:
    return OpenInferenceBench(inspector)
