"""What a response over REST says: an answer, a try that may go better next time, or a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import httpx

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
    undefined,
    undefined_part,
)
from flawline.client.attempts import Failure
from flawline.client.errors import NotLetInError, RefusedError
from flawline.client.frame import Frame, Part

T = TypeVar("T")
Fields = Mapping[str, Any]

_BUSY = {429, 503}


def inspection_of(frame: Frame, response: httpx.Response) -> Inspection | Failure:
    """Raises RefusedError."""
    return _outcome(
        response,
        _inspection_from,
        lambda code, detail, problem: undefined(frame, code, detail, _id_of(problem)),
    )


def part_of(part: Part, response: httpx.Response) -> PartInspection | Failure:
    """Raises RefusedError."""
    return _outcome(
        response,
        _part_from,
        lambda code, detail, problem: undefined_part(
            part, code, detail, _id_of(problem), _frames_from(problem.get("frames") or ())
        ),
    )


def _outcome(
    response: httpx.Response,
    answer_from: Callable[[Fields], T],
    undefined_from: Callable[[str, str, Fields], T],
) -> T | Failure:
    try:
        fields = response.json()
        if response.is_success:
            return answer_from(fields)
    except (ValueError, KeyError, TypeError):  # a proxy's page, say
        fields = {}
    problem: Fields = fields if isinstance(fields, Mapping) else {}
    code = str(problem.get("code") or f"http_{response.status_code}")
    detail = str(problem.get("detail") or f"The answer was HTTP status {response.status_code}.")
    if response.status_code in _BUSY:
        return Failure(code, detail, _retry_after_s(response))
    if response.status_code in {401, 403}:
        raise NotLetInError(code, detail)
    if response.is_client_error:
        faults: Sequence[Mapping[str, str]] = problem.get("errors") or ({},)
        raise RefusedError(code, detail, faults[0].get("field"))
    if problem.get("verdict") == Verdict.UNDEFINED.value:
        # accepted, and the answer is that there is none
        return undefined_from(code, detail, problem)
    return Failure(code, detail)


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds; the service sends no dates, and a proxy's date is not worth a clock that agrees."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


def _id_of(problem: Fields) -> str:
    return str(problem.get("inspection_id") or "")


def _part_from(fields: Fields) -> PartInspection:
    return PartInspection(
        inspection_id=fields["inspection_id"],
        verdict=Verdict(fields["verdict"]),
        frames=_frames_from(fields["frames"]),
        line=fields["line"],
        part_id=fields["part_id"],
    )


def _frames_from(frames: Sequence[Fields]) -> tuple[Inspection, ...]:
    return tuple(map(_inspection_from, frames))


def _inspection_from(fields: Fields) -> Inspection:
    return Inspection(
        inspection_id=fields["inspection_id"],
        verdict=Verdict(fields["verdict"]),
        reasons=tuple(Reason(r["code"], r["detail"]) for r in fields["reasons"]),
        detections=tuple(
            Detection(d["class"], d["score"], Box(**d["box"])) for d in fields["detections"]
        ),
        frame=FrameInfo(**fields["frame"]),
        line=fields["line"],
        part_id=fields["part_id"],
        recipe=RecipeRef(**fields["recipe"]),
        model=ModelRef(**fields["model"]),
        created_at=datetime.fromisoformat(fields["created_at"].replace("Z", "+00:00")),
        processing_times_ms=ProcessingTimes(**fields["processing_times_ms"]),
    )
