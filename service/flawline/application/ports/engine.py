"""What runs a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from flawline.core.values import RawOutput

T = TypeVar("T")


class NothingToRun(Exception):  # noqa: N818 - an ordinary turn of events, caught by the one who asked
    """What makes a batch found that no picture of it is left to run."""


class InferenceEngine(Protocol):
    """Runs one network. Calls beyond those that it runs side by side wait for their turn, in the order of asking."""

    async def run(self, made: Callable[[], NDArray[np.uint8]], used: Callable[[RawOutput], T]) -> T:
        """Make a batch, run it, and use its output, all on one thread of the engine's own.

        A change of threads costs more than much of the work around a network. `made` gives uint8
        [N, 1, height, width], grey values in input pixels, which stay unchanged until the call ends;
        row i of the output belongs to image i. What `used` gives is returned. Any exception means
        that no row has an output; one of `made` or `used` comes out as it is.
        """
        ...

    async def infer(self, images: NDArray[np.uint8]) -> RawOutput:
        """Run a batch that is there, as `run`, and return its output."""
        ...


class StartableEngine(InferenceEngine, Protocol):
    """An engine that comes and goes while the process runs."""

    @property
    def fell_back(self) -> bool:
        """Whether it computes on the CPU although another device was asked for."""
        ...

    async def start(self) -> None:
        """Load the network and run it. Raises flawspec's ArtifactError."""
        ...

    def close(self) -> None:
        """Give back what it holds; may block for a moment, and be called more than once."""
        ...
