"""A picture that has the machine to itself is computed with more threads than one of many."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_artifact import boxes_and_scores, tiny_manifest, write_tiny_artifact

from flawline.adapters.onnx_engine import Company, CoreBinding, OnnxEngine

CALM_CALLS = 4


class Spy:
    """Stands before a session: how large the batches were that it ran."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.sizes: list[int] = []

    def run(self, names: list[str], inputs: dict[str, Any]) -> Any:
        self.sizes.append(len(inputs["images"]))
        return self._session.run(names, inputs)


class Spied:
    """An engine of two threads, and what its two sessions ran."""

    def __init__(self, engine: OnnxEngine) -> None:
        self.engine = engine
        self.shared, self.lone = Spy(engine._session), Spy(engine._lone_session)
        engine._session, engine._lone_session = self.shared, self.lone

    async def infer(self, size: int, seed: int = 0) -> None:
        """And check the answer."""
        shape = (size, 1, 64, 64)
        images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        output, expected = await self.engine.infer(images), boxes_and_scores(images)
        np.testing.assert_allclose(output.scores, expected.scores, atol=1e-5)
        np.testing.assert_allclose(output.boxes_xyxy, expected.boxes_xyxy, atol=1e-4)


def engine_of(path: Path, **options: Any) -> OnnxEngine:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    options = {"threads": 2, "parallel": 2, "lone_threads": 2, **options}
    return OnnxEngine(path, sha256, tiny_manifest(), max_batch=4, **options)


@pytest.fixture
async def spied(tmp_path: Path) -> AsyncIterator[Spied]:
    engine = engine_of(write_tiny_artifact(tmp_path))
    await engine.start()
    yield Spied(engine)
    engine.close()


async def test_after_a_few_that_met_no_other_a_picture_has_all_threads(spied: Spied) -> None:
    for n in range(CALM_CALLS + 3):
        await spied.infer(1, seed=n)
    assert spied.shared.sizes == [1] * CALM_CALLS
    assert spied.lone.sizes == [1] * 3


async def test_a_batch_is_computed_like_any_other(spied: Spied) -> None:
    for n in range(CALM_CALLS + 2):
        await spied.infer(2, seed=n)
    assert spied.lone.sizes == []


async def test_pictures_that_meet_each_other_have_a_thread_each(spied: Spied) -> None:
    for n in range(CALM_CALLS):
        await spied.infer(1, seed=n)
    # The first of them does not know yet; the others do, and those that come within the next few.
    await asyncio.gather(*(spied.infer(1, seed=n) for n in range(8)))
    assert spied.lone.sizes == [1]
    for n in range(CALM_CALLS - 1):
        await spied.infer(1, seed=n)
    assert spied.lone.sizes == [1]
    await spied.infer(1)
    assert spied.lone.sizes == [1, 1]


async def test_a_call_that_fails_or_is_given_up_is_no_company_any_more(spied: Spied) -> None:
    with pytest.raises(Exception, match="Got invalid dimensions"):
        await spied.engine.infer(np.zeros((1, 1, 65, 64), np.uint8))
    blocked = threading.Event()
    waiting = asyncio.create_task(
        spied.engine.run(lambda: blocked.wait(30) or np.zeros((1, 1, 64, 64), np.uint8), len)
    )
    await asyncio.sleep(0)
    waiting.cancel()
    blocked.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    for n in range(CALM_CALLS + 1):
        await spied.infer(1, seed=n)
    assert spied.lone.sizes


async def test_engines_of_one_process_know_of_each_other(tmp_path: Path) -> None:
    path, company = write_tiny_artifact(tmp_path), Company()
    engines = [engine_of(path, company=company) for _ in range(2)]
    for engine in engines:
        await engine.start()
    one, other = map(Spied, engines)
    for n in range(6):
        await asyncio.gather(one.infer(1, seed=n), other.infer(1, seed=n + 6))
    assert one.lone.sizes == other.lone.sizes == []
    for engine in engines:
        engine.close()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"lone_threads": 1}, id="not wanted"),
        pytest.param({"parallel": 1}, id="a batch has all threads anyway"),
        pytest.param({"threads": 0}, id="all cores anyway"),
    ],
)
async def test_there_is_no_second_session_without_need(
    options: dict[str, int], tmp_path: Path
) -> None:
    engine = engine_of(write_tiny_artifact(tmp_path), **options)
    await engine.start()
    assert engine._lone_session is None
    for _ in range(CALM_CALLS + 1):
        assert len((await engine.infer(np.zeros((1, 1, 64, 64), np.uint8))).scores) == 1
    engine.close()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no threads")
async def test_who_calls_and_who_helps_are_bound_to_different_cores(tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("this machine has one core")
    before = set(_tasks())
    engine = engine_of(
        write_tiny_artifact(tmp_path), binding=CoreBinding(cores[:2], others_s=lambda: 0.0)
    )
    await engine.start()
    # Two that call and one that calls alone; and one that helps it. Each binds itself, once it runs.
    expected = [cores[0]] * 2 + [cores[1]] * 2
    for _ in range(500):
        if (bound := _bound(set(_tasks()) - before)) == expected:
            break
        await asyncio.sleep(0.01)
    assert bound == expected
    assert os.sched_getaffinity(0) == set(cores)
    engine.close()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no threads")
async def test_a_core_that_is_gone_is_done_without(tmp_path: Path) -> None:
    gone = max(os.sched_getaffinity(0)) + 4096
    engine = engine_of(
        write_tiny_artifact(tmp_path), binding=CoreBinding([gone, gone + 1], lambda: 0.0)
    )
    await engine.start()
    spied = Spied(engine)
    for n in range(CALM_CALLS + 1):
        await spied.infer(1, seed=n)
    assert spied.lone.sizes == [1]
    engine.close()


def _bound(tasks: set[int]) -> list[int]:
    """The cores of those threads that are bound to one."""
    bound = []
    for task in tasks:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            core, *others = os.sched_getaffinity(task)
            bound += [] if others else [core]
    return sorted(bound)


def _tasks() -> list[int]:
    """The threads of this process, also those that are not Python's."""
    return [int(task.name) for task in Path("/proc/self/task").iterdir()]
