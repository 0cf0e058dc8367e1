"""Runs flawline with an engine that is slow, or that kills its process on a white picture.

engine_stand_in.py slow=0.02|poison ARGUMENTS...
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import numpy as np
from numpy.typing import NDArray

from flawline.adapters.onnx_engine import OnnxEngine
from flawline.cli import main
from flawline.core.values import RawOutput


def install(behaviour: str) -> None:
    infer = OnnxEngine.infer

    async def stand_in(engine: OnnxEngine, images: NDArray[np.uint8]) -> RawOutput:
        if behaviour == "poison" and any(int(image.min()) == 255 for image in images):
            os.kill(os.getpid(), signal.SIGKILL)
        if behaviour.startswith("slow="):
            await asyncio.sleep(float(behaviour.removeprefix("slow=")))
        return await infer(engine, images)

    OnnxEngine.infer = stand_in


if __name__ == "__main__":
    install(sys.argv[1])
    sys.argv = ["flawline", *sys.argv[2:]]
    main()
