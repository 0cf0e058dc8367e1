"""The network by itself, on an engine that inspections use too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from fakes import FakeEngine, ManualClock, settle
from scripted_inspector import MODEL
from tiny_artifact import boxes_and_scores

from flawline.application.job import Expired, Failed
from flawline.application.open_work import OpenWork
from flawline.application.raw_inference import RawInference, RawLimits, RawOutcome
from flawline.application.shared_engine import SharedEngine
from flawline.application.statistics import Statistics
from flawline.core.errors import InvalidRequest, NotReady, QueueFull
from flawline.core.values import ModelInfo, RawOutput


@dataclass
class Lent:
    info: ModelInfo
    engine: SharedEngine


@dataclass
class RawRig:
    clock: ManualClock = field(default_factory=ManualClock)
    engine: FakeEngine = field(default_factory=FakeEngine)
    statistics: Statistics = field(default_factory=Statistics)
    work: OpenWork = field(default_factory=OpenWork)
    ready: bool = True
    parallel: int = 1
    lent: int = 0

    def __post_init__(self) -> None:
        self.shared = SharedEngine(self.engine, self.clock, self.parallel)
        self.engines = {"tiny": self.shared, "other": SharedEngine(FakeEngine(), self.clock)}
        self.raw = RawInference(
            self,
            statistics=self.statistics,
            clock=self.clock,
            check_ready=self.check_ready,
            work=self.work,
            limits=RawLimits(max_batch=4, capacity=6, deadline_ms=1000, max_deadline_ms=5000),
        )

    def check_ready(self) -> None:
        if not self.ready:
            raise NotReady("draining", 1.0)

    @contextmanager
    def lane(self, name: str, version: str | None = None) -> Iterator[Lent]:
        self.lent += 1
        try:
            yield Lent(MODEL, self.engines[name])
        finally:
            self.lent -= 1

    async def run(self, images: np.ndarray, **options: int) -> RawOutcome:
        info, outcome = await self.raw.run("tiny", images, **options)
        assert info == MODEL
        return outcome

    def ask(self, images: np.ndarray, **options: int) -> asyncio.Task[RawOutcome]:
        return asyncio.create_task(self.run(images, **options))


@pytest.fixture
async def rig() -> RawRig:
    return RawRig()


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 64, 64), dtype=np.uint8)


async def test_each_request_gets_its_own_rows(rig: RawRig) -> None:
    requests = [noise(1, 1), noise(3, 2), noise(2, 3)]
    for images, outcome in zip(
        requests, await asyncio.gather(*map(rig.run, requests)), strict=True
    ):
        expected = boxes_and_scores(images)
        assert isinstance(outcome, RawOutput)
        assert np.array_equal(outcome.boxes_xyxy, expected.boxes_xyxy)
        assert np.array_equal(outcome.scores, expected.scores)
    figures = rig.statistics.raw(MODEL.ref)
    assert (figures.inferences, figures.executions, figures.success.count) == (6, 3, 3)


async def test_an_inspection_waits_for_one_raw_request_at_most(rig: RawRig) -> None:
    rig.engine.hold()
    first, second = rig.ask(noise(1)), rig.ask(noise(2))
    await settle()
    inspection = asyncio.create_task(rig.shared.infer(noise(3)))
    await settle()
    assert rig.engine.sizes == [1]
    rig.engine.release()
    await asyncio.gather(first, second, inspection)
    assert rig.engine.sizes == [1, 3, 2]


async def test_waiting_and_running_are_told_apart(rig: RawRig) -> None:
    figures = rig.statistics.raw(MODEL.ref)
    rig.engine.hold()
    inspection = asyncio.create_task(rig.shared.infer(noise(1)))
    asked = rig.ask(noise(2))
    await settle()
    rig.clock.advance(0.25)
    rig.engine.release()
    await asyncio.gather(inspection, asked)
    assert (figures.queue.ns, figures.compute_infer.ns) == (250_000_000, 0)
    rig.engine.hold()
    asked = rig.ask(noise(3))
    await settle()
    rig.clock.advance(0.5)
    rig.engine.release()
    await asked
    assert (figures.queue.ns, figures.compute_infer.ns) == (250_000_000, 500_000_000)
    assert figures.success.ns == 750_000_000
    assert {size: tally.count for size, tally in figures.batches.items()} == {2: 1, 3: 1}


async def test_late_answers_are_none_and_the_engine_keeps_its_turn(rig: RawRig) -> None:
    rig.engine.hold()
    late = rig.ask(noise(1), deadline_ms=100)
    await settle()
    after = rig.ask(noise(2))
    await settle()
    rig.clock.advance(0.1)
    assert isinstance(await late, Expired)
    await settle()
    assert rig.engine.sizes == [1], "a second call must not meet the first inside the engine"
    rig.engine.release()
    assert isinstance(await after, RawOutput)
    assert rig.statistics.raw(MODEL.ref).fail.count == 1
    assert (rig.work.count, rig.lent) == (0, 0)


async def test_a_late_request_keeps_others_out_until_its_call_has_ended() -> None:
    rig = RawRig(parallel=2)
    rig.engine.hold()
    late, gone = rig.ask(noise(1), deadline_ms=100), rig.ask(noise(3), deadline_ms=100)
    await settle()
    rig.clock.advance(0.1)
    assert isinstance(await late, Expired)
    assert isinstance(await gone, Expired)
    after = rig.ask(noise(2))
    await settle()
    inspection = asyncio.create_task(rig.shared.infer(noise(4)))
    await settle()
    assert rig.engine.sizes == [1, 4], "the other place is for inspections"
    rig.engine.release()
    assert isinstance(await after, RawOutput)
    await inspection
    assert rig.engine.sizes == [1, 4, 2]


async def test_an_engine_that_hangs_keeps_nobody_from_another(rig: RawRig) -> None:
    rig.engine.hold()
    late = rig.ask(noise(1), deadline_ms=100)
    await settle()
    rig.clock.advance(0.1)
    assert isinstance(await late, Expired)
    waits = rig.ask(noise(3), deadline_ms=1000)
    await settle()
    _, outcome = await asyncio.wait_for(rig.raw.run("other", noise(2)), 5)
    assert isinstance(outcome, RawOutput)
    rig.engine.release()
    assert isinstance(await waits, RawOutput)


async def test_a_failing_engine_fails_the_request_alone(
    rig: RawRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.engine.fails_on = lambda image: image.max() == 255
    dark, bright = noise(1) // 2, np.full((1, 1, 64, 64), 255, np.uint8)
    outcomes = await asyncio.gather(rig.run(bright), rig.run(dark))
    assert isinstance(outcomes[0], Failed)
    assert outcomes[0].error_id in caplog.text
    assert isinstance(outcomes[1], RawOutput)


async def test_output_with_missing_rows_is_a_failure(rig: RawRig) -> None:
    rig.engine.distort = lambda output: RawOutput(output.boxes_xyxy[:1], output.scores)
    assert isinstance(await rig.run(noise(2)), Failed)


async def test_too_many_waiting_pictures_are_refused_at_once(rig: RawRig) -> None:
    rig.engine.hold()
    waiting = [rig.ask(noise(4)), rig.ask(noise(2))]
    await settle()
    with pytest.raises(QueueFull):
        await rig.run(noise(1))
    rig.engine.release()
    await asyncio.gather(*waiting)
    assert isinstance(await rig.run(noise(4)), RawOutput)


async def test_a_drain_waits_for_raw_requests(rig: RawRig) -> None:
    rig.engine.hold()
    asked = rig.ask(noise(1))
    await settle()
    drained = asyncio.create_task(rig.work.until_none())
    await settle()
    assert not drained.done()
    rig.engine.release()
    await asyncio.gather(asked, drained)


async def test_a_caller_that_goes_away_leaves_nothing_behind(rig: RawRig) -> None:
    rig.engine.hold()
    running, waiting = rig.ask(noise(1)), rig.ask(noise(1))
    await settle()
    for task in (running, waiting):
        task.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    assert (rig.work.count, rig.lent) == (0, 0)
    rig.engine.release()
    assert isinstance(await rig.run(noise(4)), RawOutput)


async def test_bad_requests(rig: RawRig) -> None:
    for images, says in (
        (noise(0), "0 pictures"),
        (noise(5), "FLAWLINE_MAX_BATCH"),
        (noise(1)[:, :, :32], "uint8 [N, 1, 64, 64]"),
        (noise(1).astype(np.float32), "uint8"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await rig.run(images)
        assert says in str(caught.value)
    with pytest.raises(InvalidRequest, match="from 1 to 5000"):
        await rig.run(noise(1), deadline_ms=6000)
    rig.ready = False
    with pytest.raises(NotReady):
        await rig.run(noise(1))
    assert rig.engine.sizes == []
