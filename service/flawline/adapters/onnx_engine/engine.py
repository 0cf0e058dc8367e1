"""One artifact in a session of ONNX Runtime, behind threads of its own."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from flawline.adapters.onnx_engine.devices import Devices
from flawline.adapters.onnx_engine.threads import EngineThreads
from flawline.core.values import RawOutput
from flawspec.artifact import BOXES_NAME, INPUT_NAME, SCORES_NAME
from flawspec.errors import ArtifactError, HashMismatch, MissingArtifact, NotAnArtifact
from flawspec.manifest import ArtifactManifest

T = TypeVar("T")
_ERRORS_ONLY = 3


class GraphMismatch(ArtifactError):  # noqa: N818 - named like its siblings
    """The graph is not the one its manifest describes; all differences are named at once."""

    code = "graph_mismatch"

    def __init__(self, path: Path, differences: Sequence[str]) -> None:
        super().__init__(f"{path} does not keep its manifest: {'; '.join(differences)}.")
        self.differences = tuple(differences)


class OnnxEngine:
    """One artifact, run in threads of its own.

    threads: how many ONNX Runtime computes with, 0 for all cores. parallel: how many batches are computed side by
    side; each has one of the threads to itself, and what is left of them is shared. callers: how many calls are open
    at a time; where they are more, on another device than a CPU, some make their batch while others are computed. On
    a CPU all of them compute: a thread that waits for the interpreter after its batch would leave a core idle.
    devices: where it computes. cores: a caller each is bound to them, as far as they go.
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
        devices: Devices | None = None,
        cores: Sequence[int] = (),
    ) -> None:
        self._path = path
        self._sha256 = sha256
        self._manifest = manifest
        self._max_batch = max_batch
        # Those that call compute as well; ONNX Runtime counts one of them among its own.
        self._threads = max(1, threads - parallel + 1) if threads else 0
        self._devices = devices or Devices()
        self._fell_back = False
        self._session: onnxruntime.InferenceSession | None = None
        self._callers = EngineThreads(callers or parallel, cores)
        computing = parallel if self._devices.wanted != "cpu" else callers or parallel
        self._computing = threading.BoundedSemaphore(computing)

    async def start(self) -> None:
        """Load the graph and run every batch size once, so that no caller pays for first-time work.

        Raises MissingArtifact, HashMismatch, NotAnArtifact, GraphMismatch or DeviceUnavailable.
        """
        self._callers.start()
        self._session = await self._callers.run(self._loaded)

    async def run(self, made: Callable[[], NDArray[np.uint8]], used: Callable[[RawOutput], T]) -> T:
        """Make a batch, uint8 [N, 1, height, width], run it, and use its output, on one thread."""
        session = self._session
        if session is None:
            raise RuntimeError("the engine was not started")

        def call() -> T:
            images = made()
            with self._computing:
                output = _run(session, images)
            return used(output)

        return await self._callers.run(call)

    async def infer(self, images: NDArray[np.uint8]) -> RawOutput:
        """Run a batch, uint8 [N, 1, height, width]."""
        return await self.run(lambda: images, lambda output: output)

    @property
    def fell_back(self) -> bool:
        """Whether it computes on the CPU although another device was asked for."""
        return self._fell_back

    def close(self, limit_s: float = 1.0) -> None:
        """End the threads and free the network; a stuck thread is left after `limit_s` seconds."""
        self._session = None
        self._callers.close(limit_s)

    def _loaded(self) -> onnxruntime.InferenceSession:
        # Read once: what is hashed is what is run, whatever happens to the file meanwhile.
        try:
            content = self._path.read_bytes()
        except OSError as error:
            raise MissingArtifact(f"The artifact {self._path} cannot be read.") from error
        if hashlib.sha256(content).hexdigest() != self._sha256:
            raise HashMismatch(f"{self._path} was changed while the service was starting.")
        providers = self._devices.providers(self._input_chw, self._max_batch, len(content))
        try:
            session = onnxruntime.InferenceSession(
                content, self._session_options(), providers=providers
            )
        except Exception as error:
            raise NotAnArtifact(f"ONNX Runtime cannot load {self._path}.") from error
        self._fell_back = self._devices.fell_back(session.get_providers())
        if differences := _graph_differences(session, self._manifest):
            raise GraphMismatch(self._path, differences)
        self._warm_up(session)
        return session

    @property
    def _input_chw(self) -> tuple[int, int, int]:
        return (1, self._manifest.input_height_px, self._manifest.input_width_px)

    def _session_options(self) -> onnxruntime.SessionOptions:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = _ERRORS_ONLY
        # Idle threads that spin take the cores from those that decode the next batch.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    def _warm_up(self, session: onnxruntime.InferenceSession) -> None:
        manifest = self._manifest
        shape = (self._max_batch, *self._input_chw)
        noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        for size in range(1, self._max_batch + 1):
            try:
                output = _run(session, noise[:size])
            except Exception as error:
                raise GraphMismatch(self._path, [f"it fails on a batch of {size}"]) from error
            if differences := _output_differences(output, size, len(manifest.labels)):
                raise GraphMismatch(self._path, differences)


def _run(session: onnxruntime.InferenceSession, images: NDArray[np.uint8]) -> RawOutput:
    boxes_xyxy, scores = session.run([BOXES_NAME, SCORES_NAME], {INPUT_NAME: images})
    return RawOutput(boxes_xyxy, scores)


def _graph_differences(
    session: onnxruntime.InferenceSession, manifest: ArtifactManifest
) -> list[str]:
    """In names, types and declared sizes; running it checks the sizes that are left open."""
    picture = [None, 1, manifest.input_height_px, manifest.input_width_px]
    expected: list[tuple[str, str, list[int | None]]] = [
        (INPUT_NAME, "tensor(uint8)", picture),
        (BOXES_NAME, "tensor(float)", [None, None, 4]),
        (SCORES_NAME, "tensor(float)", [None, None, len(manifest.labels)]),
    ]
    inputs = {value.name: value for value in session.get_inputs()}
    outputs = {value.name: value for value in session.get_outputs()}
    differences = []
    if set(inputs) != {INPUT_NAME}:
        differences.append(f"its inputs are {sorted(inputs)}, expected is {INPUT_NAME!r} alone")
    for name, kind, shape in expected:
        value = inputs.get(name) or outputs.get(name)
        if value is None:
            differences.append(f"it has no {name!r}")
        elif value.type != kind or not _fits(value.shape, shape):
            differences.append(
                f"{name!r} is {value.type} {value.shape}, expected is {kind} {_readable(shape)}"
            )
    return differences


def _fits(declared: Sequence[int | str | None], expected: Sequence[int | None]) -> bool:
    """Whether declared sizes agree; an open one (a name or None) fits any, a batch must be open."""
    return (
        len(declared) == len(expected)
        and not isinstance(declared[0], int)
        and all(
            want is None or not isinstance(have, int) or have == want
            for have, want in zip(declared, expected, strict=True)
        )
    )


def _readable(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"


def _output_differences(output: RawOutput, pictures: int, classes: int) -> list[str]:
    boxes, scores = output.boxes_xyxy.shape, output.scores.shape
    if boxes == (pictures, boxes[1] if len(boxes) > 1 else None, 4) and scores == (
        *boxes[:2],
        classes,
    ):
        return []
    return [f"a batch of {pictures} gives boxes {list(boxes)} and scores {list(scores)}"]
