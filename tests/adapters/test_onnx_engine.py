from __future__ import annotations

import asyncio
import ctypes
import gc
import hashlib
import threading
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from tiny_artifact import boxes_and_scores, tiny_manifest, write_tiny_artifact

from flawline.adapters.onnx_engine import GraphMismatch, OnnxEngine
from flawline.application.ports import NothingToRun
from flawline.core.values import RawOutput
from flawspec.errors import ArtifactError, HashMismatch, MissingArtifact, NotAnArtifact
from flawspec.manifest import ArtifactManifest


def engine_of(
    path: Path,
    *,
    sha256: str | None = None,
    manifest: ArtifactManifest | None = None,
    parallel: int = 1,
) -> OnnxEngine:
    return OnnxEngine(
        path,
        sha256 or hashlib.sha256(path.read_bytes()).hexdigest(),
        manifest or tiny_manifest(),
        max_batch=4,
        threads=parallel,
        parallel=parallel,
    )


async def refusal(engine: OnnxEngine) -> ArtifactError:
    """What `start` says; the engine's thread is ended."""
    with pytest.raises(ArtifactError) as caught:
        await engine.start()
    engine.close()
    return caught.value


def random_pictures(count: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 64, 64), dtype=np.uint8)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[OnnxEngine]:
    running = engine_of(write_tiny_artifact(tmp_path))
    await running.start()
    yield running
    running.close()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc alone keeps it")
async def test_closing_gives_back_what_was_freed(engine: OnnxEngine) -> None:
    def resident_pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [libc.malloc(65_536) for _ in range(512)]
    for block in blocks:
        ctypes.memset(block, 1, 65_536)
    last = blocks.pop()  # holds what lies below it
    for block in blocks:
        libc.free(block)
    before = resident_pages()
    engine.close()
    assert before - resident_pages() > 6_000
    libc.free(last)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 11])  # beyond 4 in several runs
async def test_each_picture_gets_its_own_row(engine: OnnxEngine, size: int) -> None:
    images = random_pictures(size)
    output = await engine.infer(images)
    expected = boxes_and_scores(images)
    np.testing.assert_allclose(output.boxes_xyxy, expected.boxes_xyxy, atol=1e-4)
    np.testing.assert_allclose(output.scores, expected.scores, atol=1e-5)
    assert output.scores.dtype == np.float32


async def test_the_work_around_a_batch_is_done_on_the_engines_thread(engine: OnnxEngine) -> None:
    threads: list[str] = []
    images = random_pictures(2)

    def made() -> np.ndarray:
        threads.append(threading.current_thread().name)
        return images

    def used(output: RawOutput) -> list[float]:
        threads.append(threading.current_thread().name)
        return [float(row.max()) for row in output.scores]

    highest = await engine.run(made, used)
    assert threads == ["flawline-engine"] * 2
    expected = boxes_and_scores(images).scores.max(axis=(1, 2))
    assert highest == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("fails", ["made", "used"])
async def test_an_error_around_a_batch_comes_out_as_it_is(engine: OnnxEngine, fails: str) -> None:
    def broken(*_: object) -> np.ndarray:
        raise NothingToRun

    made = broken if fails == "made" else lambda: random_pictures(1)
    with pytest.raises(NothingToRun):
        await engine.run(made, broken)
    assert len((await engine.infer(random_pictures(2))).scores) == 2


async def test_calls_that_overlap_are_run_one_after_the_other(engine: OnnxEngine) -> None:
    batches = [random_pictures(1 + n % 4, seed=n) for n in range(16)]
    outputs = await asyncio.gather(*(engine.infer(images) for images in batches))
    for images, output in zip(batches, outputs, strict=True):
        np.testing.assert_allclose(output.scores, boxes_and_scores(images).scores, atol=1e-5)


async def test_so_many_calls_run_side_by_side(tmp_path: Path) -> None:
    engine = engine_of(write_tiny_artifact(tmp_path), parallel=2)
    await engine.start()
    together = threading.Barrier(2)

    class Spy:
        def run(self, *_: object) -> tuple[None, None]:
            together.wait(30)  # breaks unless two are inside
            return None, None

    session, engine._session = engine._session, Spy()
    await asyncio.gather(*(engine.infer(random_pictures(1)) for _ in range(4)))
    engine._session = session
    batches = [random_pictures(1 + n % 4, seed=n) for n in range(16)]
    outputs = await asyncio.gather(*(engine.infer(images) for images in batches))
    for images, output in zip(batches, outputs, strict=True):
        np.testing.assert_allclose(output.scores, boxes_and_scores(images).scores, atol=1e-5)
    engine.close()


async def test_the_event_loop_stays_free(engine: OnnxEngine) -> None:
    """All calls come from one thread, and it is not the loop's."""
    seen = []

    class Spy:
        def run(self, *_: object) -> tuple[None, None]:
            seen.append(threading.current_thread().name)
            return None, None

    engine._session = Spy()
    await asyncio.gather(*(engine.infer(random_pictures(1)) for _ in range(3)))
    assert seen == ["flawline-engine"] * 3


async def test_an_error_of_one_call_leaves_the_engine_usable(engine: OnnxEngine) -> None:
    with pytest.raises(Exception, match="Got invalid dimensions"):
        await engine.infer(np.zeros((1, 1, 65, 64), np.uint8))
    assert len((await engine.infer(random_pictures(2))).scores) == 2


async def test_who_stops_waiting_is_skipped(engine: OnnxEngine) -> None:
    blocked, calls = threading.Event(), []

    class Spy:
        def run(self, _: object, inputs: dict[str, Any]) -> tuple[None, None]:
            calls.append(len(inputs["images"]))
            blocked.wait(30)
            return None, None

    engine._session = Spy()
    running = asyncio.create_task(engine.infer(random_pictures(1)))
    waiting = asyncio.create_task(engine.infer(random_pictures(2)))
    await asyncio.sleep(0)
    waiting.cancel()
    last = asyncio.create_task(engine.infer(random_pictures(3)))
    await asyncio.sleep(0)
    blocked.set()
    await running
    await last
    assert calls == [1, 3]


async def test_a_stuck_engine_does_not_hold_up_the_end(engine: OnnxEngine) -> None:
    stuck = threading.Event()

    class Spy:
        def run(self, *_: object) -> tuple[None, None]:
            stuck.wait(30)
            return None, None

    engine._session = Spy()
    waiting = asyncio.create_task(engine.infer(random_pictures(1)))
    await asyncio.sleep(0)
    engine.close(limit_s=0.01)
    waiting.cancel()
    stuck.set()


async def test_without_a_start_there_is_no_inference(tmp_path: Path) -> None:
    engine = engine_of(write_tiny_artifact(tmp_path))
    with pytest.raises(RuntimeError, match="not started"):
        await engine.infer(random_pictures(1))
    engine.close()


async def test_a_missing_file(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "gone.onnx", sha256="0" * 64)
    assert isinstance(await refusal(engine), MissingArtifact)


async def test_a_file_that_was_exchanged_since_it_was_checked(tmp_path: Path) -> None:
    engine = engine_of(write_tiny_artifact(tmp_path), sha256="0" * 64)
    assert isinstance(await refusal(engine), HashMismatch)


async def test_a_file_that_onnx_runtime_cannot_load(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("this is no model")
    error = await refusal(engine_of(path))
    assert isinstance(error, NotAnArtifact)
    assert "text.onnx" in str(error)


@pytest.mark.parametrize(
    ("model", "manifest", "words"),
    [
        pytest.param({"input_name": "x"}, {}, ["inputs are ['x']", "no 'images'"], id="input name"),
        pytest.param({"scores_name": "logits"}, {}, ["it has no 'scores'"], id="output name"),
        pytest.param(
            {"input_type": TensorProto.FLOAT}, {}, ["tensor(float)", "tensor(uint8)"], id="type"
        ),
        pytest.param({"batch": 1}, {}, ["[1, 1, 64, 64]", "[any, 1, 64, 64]"], id="fixed batch"),
        pytest.param({"classes": 3}, {}, ["[any, any, 2]"], id="number of classes"),
        pytest.param(
            {},
            {"input_width_px": 96, "stride_multiple": 32},
            ["[any, 1, 64, 96]"],
            id="input size",
        ),
        pytest.param(
            {"scores_as": (-1, 2, 4)},
            {},
            ["a batch of 1 gives boxes [1, 4, 4] and scores [1, 2, 4]"],
            id="sizes left open that turn out wrong",
        ),
        pytest.param(
            {"scores_as": (1, 4, 2)}, {}, ["it fails on a batch of 4"], id="batch fixed inside"
        ),
    ],
)
async def test_a_graph_that_does_not_keep_its_manifest(
    tmp_path: Path, model: dict[str, Any], manifest: dict[str, Any], words: list[str]
) -> None:
    path = write_tiny_artifact(tmp_path, **model)
    error = await refusal(engine_of(path, manifest=tiny_manifest(**manifest)))
    assert isinstance(error, GraphMismatch)
    for word in words:
        assert word in str(error)
    assert len(error.differences) >= 1


async def test_what_was_run_is_not_kept_until_the_next_batch(engine: OnnxEngine) -> None:
    """It holds the pictures as they came, of up to 20 MB each."""

    class Batch:
        def made(self) -> np.ndarray:
            return random_pictures(2)

    batch = Batch()
    held = weakref.ref(batch)
    await engine.run(batch.made, lambda output: None)
    del batch
    for _ in range(2000):
        if held() is None:
            break
        await asyncio.sleep(0.005)  # the thread is on its way back to wait
    assert held() is None


async def test_closing_frees_the_network(tmp_path: Path) -> None:
    """A process that changes its models must not keep those that went."""
    engine = engine_of(write_tiny_artifact(tmp_path))
    await engine.start()
    await engine.infer(random_pictures(2))
    session = weakref.ref(engine._session)
    engine.close()
    gc.collect()
    assert session() is None
    engine.close()
