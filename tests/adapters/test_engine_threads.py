"""On which cores an engine is called."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref

import pytest

from flawline.adapters.onnx_engine.binding import CoreBinding
from flawline.adapters.onnx_engine.threads import EngineThreads
from flawline.application.ports import NothingToRun

ALLOWED = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
pytestmark = pytest.mark.skipif(not ALLOWED, reason="this system does not bind threads to cores")


def bound_to(cores: list[int]) -> CoreBinding:
    return CoreBinding(cores, others_s=lambda: 0.0)


async def cores_of(threads: EngineThreads, count: int) -> set[frozenset[int]]:
    """Where each of the threads may run."""
    together = threading.Barrier(count)

    def look() -> frozenset[int]:
        together.wait(30)  # so that each thread has one call
        return frozenset(os.sched_getaffinity(0))

    threads.start()
    seen = await asyncio.gather(*(threads.run(look) for _ in range(count)))
    threads.close(1.0)
    return set(seen)


async def test_each_is_bound_to_a_core_as_far_as_they_go() -> None:
    cores = sorted(ALLOWED)
    seen = await cores_of(EngineThreads(len(cores) + 1, bound_to(cores)), len(cores) + 1)
    assert seen == {*(frozenset({core}) for core in cores), frozenset(ALLOWED)}
    assert os.sched_getaffinity(0) == ALLOWED  # of who started them


async def test_without_cores_they_go_where_there_is_room() -> None:
    assert await cores_of(EngineThreads(2), 2) == {frozenset(ALLOWED)}


async def test_a_core_that_is_gone_is_done_without() -> None:
    assert await cores_of(EngineThreads(1, bound_to([max(ALLOWED) + 4096])), 1) == {
        frozenset(ALLOWED)
    }


async def test_what_a_call_raised_is_held_by_nothing() -> None:
    """Without Python's search for rings: it has the pictures, and the network."""

    def late() -> None:
        raise NothingToRun

    threads = EngineThreads(1)
    threads.start()
    gc.disable()
    try:
        with pytest.raises(NothingToRun) as caught:
            await threads.run(late)
        held = weakref.ref(caught.value)
        del caught
        threads.close(1.0)
        await asyncio.sleep(0)
        assert held() is None
    finally:
        gc.enable()
