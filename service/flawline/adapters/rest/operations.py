"""What operators and their tools ask: probes, metrics."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from flawline.adapters.rest.documentation import METRICS_RESPONSES, READY_RESPONSES
from flawline.adapters.rest.problems import inspection_error_response
from flawline.adapters.rest.schemas import LiveAnswer, ReadyAnswer
from flawline.application.inspector import Inspector
from flawline.core.errors import NotReady

_PROBE_RETRY_S = 1.0


class OperationRoutes:
    """Routes that change nothing and cost little."""

    def __init__(self, inspector: Inspector, registry: CollectorRegistry) -> None:
        self._inspector = inspector
        self._registry = registry
        self.router = APIRouter(tags=["operations"])
        add = self.router.add_api_route
        add("/healthz/live", self.live, summary="Does the process answer")
        add(
            "/healthz/ready",
            self.ready,
            summary="Are pictures accepted",
            response_model=ReadyAnswer,
            response_model_exclude_none=True,
            responses=READY_RESPONSES,
        )
        add(
            "/metrics",
            self.metrics,
            summary="Metrics for Prometheus",
            response_class=Response,
            responses=METRICS_RESPONSES,
        )

    async def live(self) -> LiveAnswer:
        """Always 200 while the process can answer at all; restart it when this fails."""
        return LiveAnswer(live=True)

    async def ready(self, request: Request) -> Response | ReadyAnswer:
        """503 while starting, draining, or without a working engine: send pictures elsewhere."""
        readiness = self._inspector.readiness()
        if readiness.ready:
            return ReadyAnswer(ready=True, degraded=readiness.degraded)
        error = NotReady(readiness.reason or "unknown", _PROBE_RETRY_S)
        return inspection_error_response(request, error)

    async def metrics(self, request: Request) -> Response:
        """The text format, or OpenMetrics when the scraper asks for it."""
        try:
            encode, content_type = choose_encoder(request.headers.get("accept", ""))
        except (TypeError, ValueError):  # over a version that is no bare number, as in quotes
            encode, content_type = choose_encoder("")
        # A plain header, or Starlette would append a second charset.
        return Response(encode(self._registry), headers={"content-type": content_type})
