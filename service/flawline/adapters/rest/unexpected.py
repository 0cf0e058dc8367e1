"""What nobody expected: logged with an id, answered with that id alone."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flawline.adapters.rest.problems import make_problem, problem_response
from flawline.application.failures import new_error_id
from flawline.core.values import Verdict

logger = logging.getLogger(__name__)


class UnexpectedErrors:
    """ASGI middleware around all else; at `verdict_path` an answer would have held a verdict."""

    def __init__(self, app: ASGIApp, verdict_path: str) -> None:
        self._app = app
        self._verdict_path = verdict_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request; an exception goes on upwards only once an answer has begun."""
        begun = False

        async def noting_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except Exception:
            error_id = new_error_id()
            logger.exception("request_failed path=%s error_id=%s", scope.get("path"), error_id)
            if begun or scope["type"] != "http":
                raise
            await self._answer(Request(scope), error_id, receive, send)

    async def _answer(self, request: Request, error_id: str, receive: Receive, send: Send) -> None:
        problem = make_problem(
            500,
            "internal_error",
            f"Unexpected error; the server's log has it under the id {error_id}.",
            error_id=error_id,
            verdict=Verdict.UNDEFINED if request.url.path == self._verdict_path else None,
        )
        await problem_response(request, problem)(request.scope, receive, send)
