"""`POST /v1/inspections`: reads a request, calls the Inspector, writes what it says."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from flawline.adapters.rest.body import BodyReader
from flawline.adapters.rest.documentation import (
    IDEMPOTENCY_KEY,
    INSPECT_RESPONSES,
    PICTURE_BODY,
)
from flawline.adapters.rest.negotiation import prefers_text
from flawline.adapters.rest.problems import RefusedError, undefined_response
from flawline.adapters.rest.schemas import FieldFault, InspectionAnswer, InspectionQuery
from flawline.application.inspector import InspectionRequest, Inspector
from flawline.core.values import Verdict

INSPECTIONS_PATH = "/v1/inspections"


class InspectionRoutes:
    """The routes that inspect; `bodies` bounds what their bodies may cost."""

    def __init__(self, inspector: Inspector, bodies: BodyReader) -> None:
        self._inspector = inspector
        self._bodies = bodies
        self.router = APIRouter(tags=["inspections"])
        self.router.add_api_route(
            INSPECTIONS_PATH,
            self.inspect,
            methods=["POST"],
            summary="Inspect one picture",
            response_model=InspectionAnswer,
            responses=INSPECT_RESPONSES,
            openapi_extra=PICTURE_BODY,
        )

    async def inspect(
        self,
        request: Request,
        query: Annotated[InspectionQuery, Query()],
        idempotency_key: Annotated[str | None, Header(description=IDEMPOTENCY_KEY)] = None,
    ) -> Response:
        """The body is the bare picture file: JPEG, PNG, BMP or TIFF; grey or colour; 8 or 16 bit.

        With `Accept: text/plain` the answer is the verdict alone, one word, whatever the status;
        only where the request itself is at fault (4xx but 429) it is a problem document as ever.
        """
        _refuse_repeated(request)
        with self._bodies.reserved(request):
            inspection = await self._inspector.inspect(
                InspectionRequest(
                    picture=await self._bodies.read(request),
                    idempotency_key=idempotency_key,
                    traceparent=request.headers.get("traceparent"),
                    caller=getattr(request.state, "caller", ""),
                    **query.model_dump(),
                )
            )
        if inspection.verdict is Verdict.UNDEFINED:
            return undefined_response(request, inspection)
        if prefers_text(request.headers.get("accept")):
            return PlainTextResponse(inspection.verdict.value)
        return Response(InspectionAnswer.of(inspection).to_json(), media_type="application/json")


def _refuse_repeated(request: Request) -> None:
    """Two values for one parameter: which one was meant is not ours to guess."""
    names = [name for name, _ in request.query_params.multi_items()]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        faults = [FieldFault(field=name, detail="given more than once.") for name in repeated]
        detail = f"Give each parameter once; repeated: {', '.join(repeated)}."
        raise RefusedError(422, "invalid_request", detail, errors=faults)
