"""What travels through a queue: a job one way, its outcome the other.

Plain values only, so that a queue may serialise them.
"""

from __future__ import annotations

from dataclasses import dataclass

from flawline.core.priority import Priority
from flawline.core.quality import FrameQuality
from flawline.core.values import Detection, ModelRef, Reason, RecipeRef, StageTimes, Verdict


@dataclass(frozen=True, slots=True)
class Job:
    """One picture to inspect.

    picture: the encoded bytes as received. recipe: name of a known recipe. min_score: replaces its
    class thresholds. line: where it was taken; a queue bounds what one line may have waiting.
    part_id: of the part on it, for the log.
    submitted_s, deadline_s: moments of the monotonic clock of this process, in seconds; a queue
    between processes translates them. traceparent: W3C trace context of the caller, if he sent one.
    """

    job_id: str
    picture: bytes
    recipe: str
    min_score: float | None
    submitted_s: float
    deadline_s: float
    line: str
    priority: Priority = Priority.INLINE
    traceparent: str | None = None
    part_id: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """The picture was evaluated; the total time is known only to the one who waits.

    quality: what was measured of the frame; None where frames are not measured, or not decoded.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    detections: tuple[Detection, ...]
    recipe: RecipeRef
    model: ModelRef
    times: StageTimes
    quality: FrameQuality | None = None


@dataclass(frozen=True, slots=True)
class PictureRefused:
    """The header was fine but the pixels are not: code and sentence of flawspec's PictureError."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Processing broke; the log has the cause under `error_id`."""

    error_id: str


@dataclass(frozen=True, slots=True)
class Expired:
    """The deadline passed before the picture was evaluated."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The queue was closed before the picture was evaluated."""


JobOutcome = Judged | PictureRefused | Failed | Expired | Abandoned


@dataclass(frozen=True, slots=True)
class Lease:
    """A job lent to a worker. `receipt` is the queue's own mark; a worker hands it back unread.

    deliveries: how often the job was lent. More than once means that a worker died holding it, or its
    engine began to fail on anything, and it may be what did that.
    """

    job: Job
    receipt: str
    deliveries: int = 1
