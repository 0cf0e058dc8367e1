"""Runs flawline with an engine that is slow, kills its process on a white picture, or fails on any but an empty frame
while a file is there.

engine_stand_in.py slow=0.02|poison|fails_while=FILE ARGUMENTS...
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flawline.adapters.onnx_engine import OnnxEngine
from flawline.cli import main
from flawline.core.values import RawOutput


def install(behaviour: str) -> None:
    infer = OnnxEngine.infer
    fails_while = Path(behaviour.removeprefix("fails_while="))

    async def stand_in(engine: OnnxEngine, images: NDArray[np.uint8]) -> RawOutput:
        if behaviour == "poison" and any(int(image.min()) == 255 for image in images):
            os.kill(os.getpid(), signal.SIGKILL)
        if behaviour.startswith("slow="):
            await asyncio.sleep(float(behaviour.removeprefix("slow=")))
        fails = behaviour.startswith("fails_while=") and fails_while.exists()  # noqa: ASYNC240
        if fails and images.any():
            raise RuntimeError("the engine fails, as the test wants")
        return await infer(engine, images)

    OnnxEngine.infer = stand_in


if __name__ == "__main__":
    install(sys.argv[1])
    sys.argv = ["flawline", *sys.argv[2:]]
    main()
