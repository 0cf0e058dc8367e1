"""Callers that stay connected, on a service that runs."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from flawline.adapters.artifact_file import ArtifactFile
from flawline.bootstrap import serving
from flawline.settings import FlawlineSettings

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from serving.detector import Detector
from serving.doors import REST
from serving.generator import Load
from serving.lanes import Done
from serving.pictures import draw
from serving.turns import Callers, asking


@pytest.mark.timeout(120)
async def test_a_turn_counts_its_answers_and_reads_them(tmp_path: Path) -> None:
    artifact = ArtifactFile.find(None, None).path
    kind = draw("200x200", tmp_path, Detector(artifact, 1), tmp_path)
    wrong = tmp_path / "wrong"
    kind.folder.rename(wrong)
    kind = draw("200x200", tmp_path, Detector(artifact, 1), tmp_path)
    counts = [count + 1 for count in json.loads((wrong / "counts.json").read_text())]
    (wrong / "counts.json").write_text(json.dumps(counts))
    settings = FlawlineSettings(port=0, grpc_port=0, deadline_ms=30_000)
    async with serving.running(settings) as running:
        loads = [
            Load(
                door=REST,
                port=running.rest_port,
                kind_folder=str(folder),
                artifact=str(artifact),
                pids=[],
                clients=3,
                seconds=0.0,
                warm_s=0.0,
                deadline_ms=1e9,
            )
            for folder in (kind.folder, wrong)
        ]
        async with asking(loads) as callers:
            for _ in range(2):
                turn = await callers.turn(0, warm=3, frames=6)
                assert turn.failures == 0
                assert 9 <= turn.answers <= 9 + 2  # two were open when the last of the turn came
                assert turn.frames_per_s > 0
            turn = await callers.turn(1, warm=3, frames=6)
            assert turn.failures == turn.answers


class _Lane:
    """Answers each question at once, as often as it is told, and then has lost its connection."""

    def __init__(self, answers: int) -> None:
        self._answers = answers

    @property
    def room(self) -> int:
        return int(self._answers > 0)

    def ask(self, picture: int, done: Done) -> None:
        self._answers -= 1
        loop = asyncio.get_running_loop()
        if self._answers < 0:
            done(None, "connection closed")
        else:
            loop.call_soon(done, b"", "")

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("answers", [[0, 0], [3, 1000]])
async def test_a_turn_ends_though_connections_were_lost(answers: list[int]) -> None:
    callers = Callers([_Lane(n) for n in answers], [len], [0])
    turn = await asyncio.wait_for(callers.turn(warm=2, frames=20), 10)
    assert turn.failures == sum(n < 1000 for n in answers)
