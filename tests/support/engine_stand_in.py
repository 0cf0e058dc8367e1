"""Runs flawline with an engine that is slow, or that does something bad on a white picture.

engine_stand_in.py slow=S|poison|stuck=S|failing=S|fails_while=FILE ARGUMENTS...

poison kills its process. stuck hangs for so many seconds. failing fails, and goes on to for so many seconds.
fails_while fails on anything but an empty frame while there is such a file.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from flawline.adapters.onnx_engine import OnnxEngine
from flawline.cli import main
from flawline.core.values import RawOutput

T = TypeVar("T")


class Behaviour:
    def __init__(self, words: str) -> None:
        self._kind, _, value = words.partition("=")
        self._file = Path(value)
        self._seconds = 0.0 if self._kind == "fails_while" else float(value or 0)
        self._fails_until_s = 0.0

    def act(self, images: NDArray[np.uint8]) -> None:
        white = any(int(image.min()) == 255 for image in images)
        if self._kind == "slow" or (self._kind == "stuck" and white):
            time.sleep(self._seconds)
        elif self._kind == "poison" and white:
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._kind == "failing":
            if white:
                self._fails_until_s = time.monotonic() + self._seconds
            if time.monotonic() < self._fails_until_s:
                raise RuntimeError("the engine fails")
        elif self._kind == "fails_while" and self._file.exists() and images.any():
            raise RuntimeError("the engine fails")


def install(words: str) -> None:
    run, behaviour = OnnxEngine.run, Behaviour(words)

    async def stand_in(
        engine: OnnxEngine,
        made: Callable[[], NDArray[np.uint8]],
        used: Callable[[RawOutput], T],
    ) -> T:
        def acted() -> NDArray[np.uint8]:
            images = made()
            behaviour.act(images)
            return images

        return await run(engine, acted, used)

    OnnxEngine.run = stand_in


if __name__ == "__main__":
    install(sys.argv[1])
    sys.argv = ["flawline", *sys.argv[2:]]
    main()
