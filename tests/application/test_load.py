from __future__ import annotations

import asyncio

import pytest
from fakes import ManualClock
from load_fakes import OK, HeldWay

from flawline.application.load import Load, LoadPlan
from flawline.core.load import LoadFigures, Outcome, OutcomeKind

PICTURES = [b"a", b"b", b"c"]


def plan(rate: float | None = None, callers: int = 1, warm_up_s: float = 0.0) -> LoadPlan:
    return LoadPlan(rate, callers, duration_s=1.0, warm_up_s=warm_up_s, deadline_ms=250)


class Bench:
    """A load on a way that is held, in a time that the test moves."""

    def __init__(self, plan: LoadPlan) -> None:
        self.clock = ManualClock()
        self.way = HeldWay()
        self.load = Load(self.way, PICTURES, plan, self.clock)
        self.running = asyncio.create_task(self.load.run())

    async def settle(self) -> None:
        for _ in range(30):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        await self.settle()
        self.clock.advance(seconds + 1e-9)  # sums of 0.1 may lie just below what is due
        await self.settle()

    async def finished(self) -> LoadFigures:
        return await asyncio.wait_for(self.running, 10)


async def test_an_open_loop_sends_whatever_comes_back() -> None:
    bench = Bench(plan(rate=10))
    for _ in range(10):
        await bench.advance(0.1)
    assert len(bench.way.waiting) == 10
    assert [picture for picture, _, _ in bench.way.waiting[:4]] == [b"a", b"b", b"c", b"a"]
    bench.way.answer_all()
    figures = await bench.finished()
    assert figures.sent == 10
    assert figures.max_ms == pytest.approx(1000)
    assert figures.late == 8  # those due at 0.8 s and 0.9 s waited for 250 ms at most


async def test_latency_counts_from_when_a_frame_was_due_not_from_when_it_was_sent() -> None:
    bench = Bench(plan(rate=10))
    await bench.settle()
    bench.way.answer_all()
    await bench.settle()
    bench.clock.jump(0.5)  # the generator stands still, and five frames become due
    for _ in range(6):
        await bench.advance(0.0)
    assert len(bench.way.waiting) == 5
    bench.way.answer_all()
    await bench.settle()
    assert list(bench.load.record.latencies_s) == pytest.approx(
        [0.0, 0.4, 0.3, 0.2, 0.1, 0.0], abs=1e-6
    )
    for _ in range(5):
        await bench.advance(0.1)
        bench.way.answer_all()
    figures = await bench.finished()
    assert figures.sent == 10
    assert figures.lag_p99_ms == pytest.approx(400)


async def test_a_closed_loop_waits_for_each_answer() -> None:
    bench = Bench(plan(callers=2))
    await bench.settle()
    assert [caller for _, caller, _ in bench.way.waiting] == [0, 1]
    await bench.advance(0.3)
    assert len(bench.way.waiting) == 2
    for _ in range(3):
        bench.way.answer_all()
        await bench.advance(0.3)
    bench.way.answer_all()
    figures = await bench.finished()
    assert figures.sent == figures.answered == 8
    assert figures.p50_ms == pytest.approx(300)
    assert figures.seconds == pytest.approx(1.2)


async def test_the_warm_up_does_not_count() -> None:
    bench = Bench(plan(rate=10, warm_up_s=0.5))
    for _ in range(15):
        await bench.advance(0.1)
        bench.way.answer_all()
    figures = await bench.finished()
    assert figures.sent == 10
    assert figures.seconds == pytest.approx(1.0, abs=0.11)


async def test_frames_are_dealt_to_the_callers_in_turn() -> None:
    bench = Bench(plan(rate=10, callers=3))
    for _ in range(5):
        await bench.advance(0.1)
    assert [caller for _, caller, _ in bench.way.waiting] == [0, 1, 2, 0, 1, 2]
    bench.load.stop()
    bench.way.answer_all()
    await bench.finished()


async def test_who_is_refused_pauses() -> None:
    bench = Bench(plan(callers=1))
    await bench.settle()
    bench.way.answer_all(Outcome(OutcomeKind.REFUSED, "queue_full"))
    await bench.settle()
    assert bench.way.waiting == []
    await bench.advance(0.05)
    assert len(bench.way.waiting) == 1
    bench.load.stop()
    bench.way.answer_all()
    assert (await bench.finished()).refused == {"queue_full": 1}


async def test_told_to_stop_it_waits_for_what_is_on_its_way() -> None:
    bench = Bench(plan(rate=10))
    await bench.advance(0.1)
    bench.load.stop()
    await bench.settle()
    assert not bench.running.done()
    bench.way.answer_all()
    figures = await bench.finished()
    assert figures.sent == figures.answered == 2
    assert figures.verdicts == {OK.word: 2}


async def test_what_never_comes_is_counted_when_it_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flawline.application.load._FAREWELL_S", 0.01)
    bench = Bench(plan(callers=3))
    await bench.settle()
    bench.load.stop()
    figures = await bench.finished()
    assert figures.sent == 3
    assert figures.errors == {"not_waited_for": 3}


@pytest.mark.parametrize("rate", [None, 10.0])
async def test_a_fault_of_ours_is_not_a_figure(rate: float | None) -> None:
    bench = Bench(plan(rate=rate))
    bench.way.broken = RuntimeError("a fault of ours")
    await bench.advance(0.1)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await bench.finished()
