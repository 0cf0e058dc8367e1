"""One artifact in a session of ONNX Runtime, behind threads of its own."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from flawline.adapters.onnx_engine.binding import CoreBinding
from flawline.adapters.onnx_engine.company import Company
from flawline.adapters.onnx_engine.devices import CPU_PROVIDER, Devices, Provider
from flawline.adapters.onnx_engine.graph_check import (
    GraphMismatch,
    graph_differences,
    output_differences,
)
from flawline.adapters.onnx_engine.sessions import (
    give_memory_back,
    lone_session,
    shared_session,
)
from flawline.adapters.onnx_engine.threads import EngineThreads
from flawline.core.values import RawOutput
from flawspec.artifact import BOXES_NAME, INPUT_NAME, SCORES_NAME
from flawspec.errors import HashMismatch, MissingArtifact, NotAnArtifact
from flawspec.manifest import ArtifactManifest

T = TypeVar("T")


class OnnxEngine:
    """One artifact, run in threads of its own.

    threads: how many ONNX Runtime computes with, 0 for all cores. parallel: how many batches are computed side by
    side; each has one of the threads to itself, and what is left of them is shared. callers: how many threads take up
    calls; more than `parallel` on another device than a CPU, so that some make their batch while others are computed.
    lone_threads: what a single picture is computed with on a CPU while no other call is open, in a session of its own
    where that is more than it would have otherwise. company: shared by engines of one event loop, so that none counts
    as alone beside another. devices: where it computes. binding: the cores that its threads are bound to; while it has
    let go of them a lone picture is computed like any other, for threads that spin beside others wait for each other.
    """

    def __init__(
        self,
        path: Path,
        sha256: str,
        manifest: ArtifactManifest,
        *,
        max_batch: int,
        threads: int = 0,
        parallel: int = 1,
        callers: int | None = None,
        lone_threads: int = 1,
        company: Company | None = None,
        devices: Devices | None = None,
        binding: CoreBinding | None = None,
    ) -> None:
        self._path = path
        self._sha256 = sha256
        self._manifest = manifest
        self._max_batch = max_batch
        # Those that call compute as well; ONNX Runtime counts one of them among its own.
        self._threads = max(1, threads - parallel + 1) if threads else 0
        self._devices = devices or Devices()
        self._fell_back = False
        self._binding = binding or CoreBinding()
        self._session: onnxruntime.InferenceSession | None = None
        self._callers = EngineThreads(callers or parallel, self._binding)
        more_threads = self._devices.wanted == "cpu" and 0 < self._threads < lone_threads
        self._lone_threads = lone_threads if more_threads else 0
        self._lone_session: onnxruntime.InferenceSession | None = None
        self._lone_caller = EngineThreads(1 if more_threads else 0, self._binding)
        self._company = company or Company()
        computing = parallel if self._devices.wanted != "cpu" else callers or parallel
        self._computing = threading.BoundedSemaphore(computing)

    async def start(self) -> None:
        """Load the graph and run it, so that no caller pays for first-time work.

        Raises MissingArtifact, HashMismatch, NotAnArtifact, GraphMismatch or DeviceUnavailable.
        """
        self._binding.start()
        self._callers.start()
        self._lone_caller.start()
        # On a thread that is bound to no core: what a session starts would be bound with it.
        loader = EngineThreads(1)
        loader.start()
        try:
            content, providers = await loader.run(self._read)
            self._session = await loader.run(lambda: self._loaded(content, providers))
            if self._lone_threads:
                self._lone_session = await loader.run(lambda: self._loaded_lone(content, providers))
        finally:
            loader.close(0.0)

    async def run(self, made: Callable[[], NDArray[np.uint8]], used: Callable[[RawOutput], T]) -> T:
        """Make a batch, uint8 [N, 1, height, width], run it, and use its output, on one thread.

        A batch of more than `max_batch` runs in several of that size.
        """
        session = self._session
        if session is None:
            raise RuntimeError("the engine was not started")
        with self._company:
            by_itself = self._company.alone and not self._binding.given_up
            lone = self._lone_session if by_itself else None

            def call() -> T:
                images = made()
                most = self._max_batch
                with self._computing:
                    # A frame in tiles alone, too, has all threads for each of them.
                    if lone and not 1 < len(images) <= most:
                        output = _run_in_turn(lone, images, 1)
                    else:
                        output = _run_in_turn(session, images, most)
                return used(output)

            return await (self._lone_caller if lone else self._callers).run(call)

    async def infer(self, images: NDArray[np.uint8]) -> RawOutput:
        """Run a batch, uint8 [N, 1, height, width]."""
        return await self.run(lambda: images, lambda output: output)

    @property
    def fell_back(self) -> bool:
        """Whether it computes on the CPU although another device was asked for."""
        return self._fell_back

    def close(self, limit_s: float = 1.0) -> None:
        """End the threads and free the network; a stuck thread is left after `limit_s` seconds."""
        self._session = self._lone_session = None
        self._binding.close()
        self._callers.close(limit_s)
        self._lone_caller.close(limit_s)
        give_memory_back()

    def _read(self) -> tuple[bytes, list[Provider]]:
        """The artifact, and what it is to run on."""
        # Read once: what is hashed is what is run, whatever happens to the file meanwhile.
        try:
            content = self._path.read_bytes()
        except OSError as error:
            raise MissingArtifact(f"The artifact {self._path} cannot be read.") from error
        if hashlib.sha256(content).hexdigest() != self._sha256:
            raise HashMismatch(f"{self._path} was changed while the service was starting.")
        return content, self._devices.providers(self._input_chw, self._max_batch, len(content))

    def _loaded(self, content: bytes, providers: list[Provider]) -> onnxruntime.InferenceSession:
        try:
            session = shared_session(content, self._threads, providers)
        except Exception as error:
            raise NotAnArtifact(f"ONNX Runtime cannot load {self._path}.") from error
        self._fell_back = self._devices.fell_back(session.get_providers())
        if differences := graph_differences(session, self._manifest):
            raise GraphMismatch(self._path, differences)
        self._warm_up(session, self._max_batch)
        return session

    def _loaded_lone(
        self, content: bytes, providers: list[Provider]
    ) -> onnxruntime.InferenceSession:
        session = lone_session(content, self._lone_threads, providers, self._binding.cores)
        self._warm_up(session, 1)
        return session

    @property
    def _input_chw(self) -> tuple[int, int, int]:
        return (1, self._manifest.input_height_px, self._manifest.input_width_px)

    def _warm_up(self, session: onnxruntime.InferenceSession, most: int) -> None:
        manifest = self._manifest
        shape = (most, *self._input_chw)
        noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        # A CPU has nothing to prepare for a size once there is room for the largest.
        on_cpu = session.get_providers()[0] == CPU_PROVIDER
        for size in sorted({1, most}) if on_cpu else range(1, most + 1):
            try:
                output = _run(session, noise[:size])
            except Exception as error:
                raise GraphMismatch(self._path, [f"it fails on a batch of {size}"]) from error
            if differences := output_differences(output, size, len(manifest.labels)):
                raise GraphMismatch(self._path, differences)


def _run_in_turn(
    session: onnxruntime.InferenceSession, images: NDArray[np.uint8], most: int
) -> RawOutput:
    """At most so many at a time: a frame in tiles may be more than the session has room for."""
    if len(images) <= most:
        return _run(session, images)
    outputs = [_run(session, images[i : i + most]) for i in range(0, len(images), most)]
    return RawOutput(
        np.concatenate([output.boxes_xyxy for output in outputs]),
        np.concatenate([output.scores for output in outputs]),
    )


def _run(session: onnxruntime.InferenceSession, images: NDArray[np.uint8]) -> RawOutput:
    boxes_xyxy, scores = session.run([BOXES_NAME, SCORES_NAME], {INPUT_NAME: images})
    return RawOutput(boxes_xyxy, scores)
