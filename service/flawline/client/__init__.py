"""For programs that ask a Flawline: typed answers, retries, and one answer a frame by the deadline.

`flawline.client.rest` (needs the extra `client`), `flawline.client.grpc` and `flawline.client.camera`
hold the clients, each for asyncio and for ordinary code; what they have in common stands here.
"""

from flawline.client.answers import (
    Box,
    Detection,
    FrameInfo,
    Inspection,
    ModelRef,
    PartInspection,
    ProcessingTimes,
    Reason,
    RecipeRef,
    Verdict,
    WatchedInspection,
)
from flawline.client.errors import AwayError, ClientError, NotLetInError, RefusedError
from flawline.client.frame import Frame, Part

__all__ = [
    "AwayError",
    "Box",
    "ClientError",
    "Detection",
    "Frame",
    "FrameInfo",
    "Inspection",
    "ModelRef",
    "NotLetInError",
    "Part",
    "PartInspection",
    "ProcessingTimes",
    "Reason",
    "RecipeRef",
    "RefusedError",
    "Verdict",
    "WatchedInspection",
]
