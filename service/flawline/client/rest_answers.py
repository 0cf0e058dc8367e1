"""What a response over REST says: an answer, a try that may go better next time, or a refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields as fields_of
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
from flawline.client.errors import NOT_THE_SERVICE, NotLetInError, RefusedError
from flawline.client.frame import Frame, Part

T = TypeVar("T")
Fields = Mapping[str, Any]

_NAMES: Mapping[Callable[..., Any], tuple[str, ...]] = {
    kind: tuple(field.name for field in fields_of(kind))
    for kind in (Box, FrameInfo, ModelRef, ProcessingTimes, RecipeRef)
}

# 408: the picture came too slowly for the service, or a proxy, which next time it may not; 425 is of proxies.
_BUSY = {408, 425, 429, 503}
# Of a network that wants a login first.
_LOG_IN_FIRST = 511
_PAGES = {"text/html", "application/xhtml+xml"}
_MOST_SHOWN = 200
# What reading an answer raises that is not the service's: a proxy's page, or whatever else is JSON.
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


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
    _refuse_strangers(response)
    try:
        fields = response.json()
        if response.is_success:
            return answer_from(fields)
    except _UNREADABLE:
        fields = {}
    problem: Fields = fields if isinstance(fields, Mapping) else {}
    code = str(problem.get("code") or f"http_{response.status_code}")
    detail = str(problem.get("detail") or f"The answer was HTTP status {response.status_code}.")
    if response.status_code in _BUSY:
        return Failure(code, detail, _retry_after_s(response))
    if response.status_code in {401, 403}:
        raise NotLetInError(code, detail)
    if response.is_client_error:
        raise RefusedError(code, detail, _field_at_fault(problem))
    if problem.get("verdict") == Verdict.UNDEFINED.value:
        # accepted, and the answer is that there is none
        with suppress(*_UNREADABLE):
            return undefined_from(code, detail, problem)
    return Failure(code, detail)


def _refuse_strangers(response: httpx.Response) -> None:
    """Raises RefusedError for what only something else than the service sends, and would send each time."""
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.is_success and media_type in _PAGES:
        came = "with a page of HTML"
    elif response.status_code // 100 == 3:
        to = re.split("[?#]", response.headers.get("location", ""))[0]  # the rest may be a secret
        came = f"with a redirection (HTTP status {response.status_code}) to {to[:_MOST_SHOWN]!a}"
    elif response.status_code == _LOG_IN_FIRST:
        came = f"that the network wants a login first (HTTP status {_LOG_IN_FIRST})"
    else:
        return
    asked = response.request.url.copy_with(query=None)
    detail = (
        f"{asked} answered {came}, which is not of Flawline: check the url (http or https, host, port), and "
        "whether a proxy or a login page stands before it."
    )
    raise RefusedError(NOT_THE_SERVICE, detail)


def _field_at_fault(problem: Fields) -> str | None:
    """As the service names it; what others call errors may be of any form."""
    faults = problem.get("errors")
    if not (isinstance(faults, list) and faults and isinstance(faults[0], Mapping)):
        return None
    field = faults[0].get("field")
    return field if isinstance(field, str) else None


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds; the service sends no dates, and a proxy's date is not worth a clock that agrees."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


def _id_of(problem: Fields) -> str:
    return str(problem.get("inspection_id") or "")


def _part_from(fields: Fields) -> PartInspection:
    return PartInspection(
        inspection_id=fields["inspection_id"],
        verdict=_verdict_from(fields["verdict"]),
        frames=_frames_from(fields["frames"]),
        line=fields["line"],
        part_id=fields["part_id"],
    )


def _frames_from(frames: Sequence[Fields]) -> tuple[Inspection, ...]:
    return tuple(map(_inspection_from, frames))


def _inspection_from(fields: Fields) -> Inspection:
    return Inspection(
        inspection_id=fields["inspection_id"],
        verdict=_verdict_from(fields["verdict"]),
        reasons=tuple(Reason(r["code"], r["detail"]) for r in fields["reasons"]),
        detections=tuple(
            Detection(d["class"], d["score"], _known(Box, d["box"])) for d in fields["detections"]
        ),
        frame=_known(FrameInfo, fields["frame"]),
        line=fields["line"],
        part_id=fields["part_id"],
        recipe=_known(RecipeRef, fields["recipe"]),
        model=_known(ModelRef, fields["model"]),
        created_at=datetime.fromisoformat(fields["created_at"].replace("Z", "+00:00")),
        processing_times_ms=_known(ProcessingTimes, fields["processing_times_ms"]),
    )


def _verdict_from(word: str) -> Verdict:
    """As over gRPC: one that this client does not know is none."""
    try:
        return Verdict(word)
    except ValueError:
        return Verdict.UNDEFINED


def _known(kind: Callable[..., T], fields: Fields) -> T:
    """Of those fields what this client knows; a newer service may send more."""
    return kind(**{name: fields[name] for name in _NAMES[kind] if name in fields})
