"""`/v1/inspections`: reads a request, calls the Inspector, writes what it says."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from flawline.adapters.rest.answers import (
    answer_response,
    pending_response,
    ticket_response,
    unknown_inspection,
)
from flawline.adapters.rest.body import BodyReader
from flawline.adapters.rest.documentation import (
    FETCH,
    IDEMPOTENCY_KEY,
    INSPECT_RESPONSES,
    INSPECTION_BODIES,
    PREFER,
    TICKET_RESPONSES,
)
from flawline.adapters.rest.hangup import while_connected
from flawline.adapters.rest.parameters import InspectionQuery
from flawline.adapters.rest.preferences import Preferences
from flawline.adapters.rest.query import refuse_long_query, refuse_odd_query, refuse_two_keys
from flawline.adapters.rest.schemas import (
    InspectionAnswer,
    PartAnswer,
)
from flawline.adapters.rest.submission import Submission, inspection_query, parameters_of
from flawline.application.inspector import InspectionRequest, Inspector
from flawline.application.order import tell_nobody
from flawline.application.part import inspect_part
from flawline.application.ticket import Answer, Pending
from flawline.application.tickets import Tickets

INSPECTIONS_PATH = "/v1/inspections"


class InspectionRoutes:
    """The routes that inspect; `bodies` bounds what their bodies may cost."""

    def __init__(self, inspector: Inspector, tickets: Tickets, bodies: BodyReader) -> None:
        self._inspector = inspector
        self._tickets = tickets
        self._bodies = bodies
        self.router = APIRouter(tags=["inspections"])
        self.router.add_api_route(
            INSPECTIONS_PATH,
            self.inspect,
            methods=["POST"],
            summary="Inspect one picture, or several frames of one part",
            response_model=InspectionAnswer | PartAnswer,
            responses=INSPECT_RESPONSES,
            openapi_extra=INSPECTION_BODIES,
        )
        self.router.add_api_route(
            f"{INSPECTIONS_PATH}/{{inspection_id}}",
            self.fetch,
            methods=["GET"],
            summary="Fetch an answer that was not waited for",
            operation_id=FETCH,
            response_model=InspectionAnswer | PartAnswer,
            responses=TICKET_RESPONSES,
        )

    async def inspect(
        self,
        request: Request,
        query: Annotated[InspectionQuery, Query()],
        idempotency_key: Annotated[str | None, Header(description=IDEMPOTENCY_KEY)] = None,
        prefer: Annotated[str | None, Header(description=PREFER)] = None,
    ) -> Response:
        """The body is the bare picture file: JPEG, PNG, BMP or TIFF; grey or colour; 8 or 16 bit.

        Or a form (`multipart/form-data`) with the file as `picture`; or JSON with it as base64.
        Several `frames` of one part in a form or in JSON get one verdict together (NotOK over
        Undefined over NotDecidable over OK) and each its own; a frame that cannot be inspected
        refuses them all. Parameters stand in the query, or beside the pictures.

        With `Accept: text/plain` the answer is the verdict alone, one word, whatever the status;
        only where the request itself is at fault (4xx but 429) it is a problem document as ever.
        Who hangs up withdraws his picture, unless he gave an Idempotency-Key.
        """
        del prefer  # may stand in several headers, and the framework shows one
        refuse_odd_query(request)
        refuse_two_keys(request)
        with ExitStack() as held:
            room = held.enter_context(self._bodies.reserved(request))
            submission = await self._bodies.read(request, room)
            requests = _requests_of(request, query, submission, idempotency_key)
            work = _Work(self._inspector, requests, submission.is_part)
            wishes = Preferences.of(request.headers.getlist("prefer"))
            if wishes.respond_async:
                return await self._begin(request, work, wishes.wait_s, held.pop_all().close)
            # With a key it is run to its end: a repeat that comes for the answer must find it.
            running = work.run()
            answer = await (
                while_connected(request, running) if idempotency_key is None else running
            )
        return answer_response(request, answer)

    async def inspect_unrouted(self, request: Request) -> Response:
        """`inspect`, with its parameters read here. Raises what it raises, and RequestValidationError."""
        refuse_long_query(request)
        query = inspection_query(request.query_params)
        return await self.inspect(request, query, request.headers.get("idempotency-key"))

    async def fetch(
        self,
        request: Request,
        inspection_id: Annotated[
            str, Path(description="As `Location` named it.", examples=["4f1c" * 8])
        ],
    ) -> Response:
        """What `POST` with `Prefer: respond-async` promised: 202 until it is there.

        Then, until it has expired, what `POST` itself would have answered, whatever the status.
        """
        state = await self._tickets.find(inspection_id, _caller(request))
        if state is None:
            raise unknown_inspection()
        if isinstance(state, Pending):
            return pending_response(request, inspection_id)
        return ticket_response(request, inspection_id, state)

    async def _begin(
        self, request: Request, work: _Work, wait_s: int, done: Callable[[], None]
    ) -> Response:
        caller, inspection_id = _caller(request), work.inspection_id
        await self._tickets.begin(inspection_id, caller, work.run, done)
        if wait_s:
            state = await self._tickets.find(inspection_id, caller, wait_s)
            if state is not None and not isinstance(state, Pending):
                return ticket_response(request, inspection_id, state)
        return pending_response(
            request, inspection_id, location=f"{INSPECTIONS_PATH}/{inspection_id}"
        )


class _Work:
    """Inspects what was submitted, when it is told to."""

    def __init__(
        self, inspector: Inspector, requests: list[InspectionRequest], is_part: bool
    ) -> None:
        self._inspector = inspector
        self._requests = requests
        self._is_part = is_part
        self.inspection_id = uuid.uuid4().hex if is_part else requests[0].inspection_id

    async def run(self, accepted: Callable[[float], None] = tell_nobody) -> Answer:
        """The answer. Raises InspectionError."""
        if not self._is_part:
            return await self._inspector.inspect(self._requests[0], accepted)
        return await inspect_part(
            self._inspector,
            self._requests,
            inspection_id=self.inspection_id,
            accepted=accepted,
        )


def _requests_of(
    request: Request, query: InspectionQuery, submission: Submission, key: str | None
) -> list[InspectionRequest]:
    parameters = parameters_of(query, submission)
    return [
        InspectionRequest(
            picture=frame,
            idempotency_key=key,
            traceparent=request.headers.get("traceparent"),
            caller=_caller(request),
            **parameters,
        )
        for frame in submission.frames
    ]


def _caller(request: Request) -> str:
    """As the lock knows him; "" where nothing is locked."""
    return str(getattr(request.state, "caller", ""))
