"""The answers of inspections, at once or later, as JSON or as the bare word of the verdict."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from flawline.adapters.rest.negotiation import prefers_text
from flawline.adapters.rest.preferences import APPLIED
from flawline.adapters.rest.problems import (
    RefusedError,
    inspection_error_response,
    make_problem,
    problem_response,
)
from flawline.adapters.rest.schemas import InspectionAnswer, PartAnswer, PendingAnswer
from flawline.application.ticket import Answer, Finished, Refused, Unanswered
from flawline.core.errors import BadPicture
from flawline.core.values import Inspection, PartInspection, Verdict

_POLL_AGAIN = {"Retry-After": "1"}


def answer_response(request: Request, answer: Answer) -> Response:
    """200 with a verdict, 504 without."""
    if answer.verdict is Verdict.UNDEFINED:
        return _undefined_response(request, answer)
    if prefers_text(request.headers):
        return PlainTextResponse(answer.verdict.value)
    return Response(_answer_of(answer).to_json(), media_type="application/json")


def pending_response(
    request: Request, inspection_id: str, *, location: str | None = None
) -> Response:
    """202: accepted, and not evaluated yet. location: where to come back, on the first answer."""
    headers = dict(_POLL_AGAIN)
    if location is not None:
        headers |= {"Location": location, "Preference-Applied": APPLIED}
    if prefers_text(request.headers):
        return PlainTextResponse(Verdict.UNDEFINED.value, 202, headers)
    answer = PendingAnswer(inspection_id=inspection_id)
    return Response(answer.model_dump_json(), 202, headers, media_type="application/json")


def ticket_response(
    request: Request, inspection_id: str, state: Finished | Refused | Unanswered
) -> Response:
    """What an inspection that was not waited for has come to."""
    if isinstance(state, Finished):
        return answer_response(request, state.answer)
    if isinstance(state, Refused):
        error = BadPicture(state.code, state.detail, state.field)
        return inspection_error_response(request, error)
    problem = make_problem(
        504,
        state.code,
        state.detail,
        verdict=Verdict.UNDEFINED,
        inspection_id=inspection_id,
    )
    return problem_response(request, problem)


def unknown_inspection() -> RefusedError:
    """No such inspection, or its answer has expired, or it is another caller's."""
    return RefusedError(
        404,
        "unknown_inspection",
        "There is no such inspection here, or its answer has expired "
        "(FLAWLINE_ASYNC_RESULT_S on the server).",
    )


def _answer_of(answer: Answer) -> InspectionAnswer | PartAnswer:
    if isinstance(answer, Inspection):
        return InspectionAnswer.of(answer)
    return PartAnswer.of(answer)


def _undefined_response(request: Request, answer: Answer) -> Response:
    """Accepted, but no verdict: too late, or an inspection failed."""
    frames = None
    reasons = answer.reasons if isinstance(answer, Inspection) else ()
    if isinstance(answer, PartInspection):
        frames = [InspectionAnswer.of(frame) for frame in answer.frames]
        undefined = [f for f in answer.frames if f.verdict is Verdict.UNDEFINED]
        reasons = tuple(reason for frame in undefined for reason in frame.reasons)
    code = reasons[0].code if reasons else "undefined"
    # Frames of one part mostly share their fate: say each thing once.
    detail = " ".join(dict.fromkeys(reason.detail for reason in reasons)) or "There is no verdict."
    problem = make_problem(
        504,
        code,
        detail,
        verdict=Verdict.UNDEFINED,
        inspection_id=answer.inspection_id,
        frames=frames,
    )
    return problem_response(request, problem)
