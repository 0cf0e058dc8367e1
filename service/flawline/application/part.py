"""Several frames of one part, asked for together: one verdict of the part, and each frame's own."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from flawline.application.inspector import Inspector
from flawline.application.order import tell_nobody
from flawline.application.request import InspectionRequest, key_of_one
from flawline.core.errors import BadPicture
from flawline.core.values import Inspection, PartInspection
from flawline.core.verdict import combined


async def inspect_part(
    inspector: Inspector,
    frames: Sequence[InspectionRequest],
    *,
    inspection_id: str | None = None,
    accepted: Callable[[float], None] = tell_nobody,
) -> PartInspection:
    """Inspect all frames at once, each as an inspection of its own.

    frames: alike in all but the picture. Raises InspectionError when one of them is refused; the
    others are then withdrawn, and the text names the frame. A repeat under an idempotency key gets
    the answers that its frames had. `accepted` is told the latest deadline once all are queued.
    """
    key = frames[0].idempotency_key
    keys = [key_of_one(key, f"frame {index}") for index in range(len(frames))]
    if keys[0] is not None:
        digest = await asyncio.to_thread(_digest_of, [frame.picture for frame in frames])
        frames = [replace(frame, frames_sha256=digest) for frame in frames]
    moments: list[float] = []

    def one_accepted(deadline_s: float) -> None:
        moments.append(deadline_s)
        if len(moments) == len(frames):
            accepted(max(moments))

    tasks = [
        asyncio.create_task(_inspect_frame(inspector, index, frame, key, one_accepted))
        for index, (frame, key) in enumerate(zip(frames, keys, strict=True))
    ]
    try:
        inspections = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        # Waited for, so that no refusal among them is reported as one that nobody fetched.
        await asyncio.gather(*tasks, return_exceptions=True)
        del task, tasks  # as in `within`
    verdict = combined(inspection.verdict for inspection in inspections)
    return PartInspection(inspection_id or uuid.uuid4().hex, verdict, tuple(inspections))


async def _inspect_frame(
    inspector: Inspector,
    index: int,
    frame: InspectionRequest,
    key: str | None,
    accepted: Callable[[float], None],
) -> Inspection:
    # A repeat that joins one and then runs itself is accepted twice; a frame counts once.
    told = False

    def once(deadline_s: float) -> None:
        nonlocal told
        if not told:
            told = True
            accepted(deadline_s)

    try:
        inspection = await inspector.inspect(replace(frame, idempotency_key=key), once)
    except BadPicture as error:
        where = f"frames[{index}]"
        raise BadPicture(error.code, f"{where}: {error}", where) from error
    once(0.0)  # answered from memory, with nothing to wait for
    return inspection


def _digest_of(pictures: Sequence[bytes]) -> str:
    """Of all of them, in their order."""
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(hashlib.sha256(picture).digest())
    return digest.hexdigest()
