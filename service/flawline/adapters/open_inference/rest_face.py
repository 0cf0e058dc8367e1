"""The REST face: `/v2/...`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from math import prod
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from flawline.adapters.open_inference import rest_documentation as documentation
from flawline.adapters.open_inference.descriptions import (
    model_config,
    model_metadata,
    model_statistics,
    server_metadata,
)
from flawline.adapters.open_inference.errors import OpenInferenceError, invalid
from flawline.adapters.open_inference.inference import InferenceService
from flawline.adapters.open_inference.messages import Call
from flawline.adapters.open_inference.options import refuse_in_query
from flawline.adapters.open_inference.repository import RepositoryService
from flawline.adapters.open_inference.rest_answers import AnsweringRoute, json_response
from flawline.adapters.open_inference.rest_body import BodyReader
from flawline.adapters.open_inference.rest_wire import (
    JSON_LENGTH_HEADER,
    RestRequest,
    infer_request,
    infer_response,
    parsed_json,
    raw_request,
    split,
)
from flawline.adapters.open_inference.tensors import ANY_SIZE
from flawline.application.statistics import Statistics

ROOT = "/v2"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
# Of JSON that holds no tensors.
_MAX_COMMAND_BYTES = 64 * 1024
_MOST_VALUES_BESIDE_TENSORS = 10_000

ModelName = Annotated[str, Path(description="`<name>` or `<name>_raw` of an artifact.")]
ModelVersion = Annotated[str, Path(description="Of the artifact.")]
Handler = Callable[[Request, str, str], Coroutine[Any, Any, Response]]


class OpenInferenceRoutes:
    """The routes of the protocol and its extensions; `bodies` bounds what their bodies may cost."""

    def __init__(
        self,
        inference: InferenceService,
        repository: RepositoryService,
        statistics: Statistics,
        bodies: BodyReader,
    ) -> None:
        self._inference = inference
        self._repository = repository
        self._statistics = statistics
        self._bodies = bodies
        self.router = APIRouter(
            prefix=ROOT, route_class=AnsweringRoute, tags=["open inference protocol"]
        )
        self._add_server()
        self._add_models()
        self._add_repository()
        # Behind all others: what is not here shall be said in the protocol's words as well.
        for path in ("", "/{path:path}"):
            self.router.add_api_route(path, self.nothing, methods=_METHODS, include_in_schema=False)

    def _add_server(self) -> None:
        add = self.router.add_api_route
        add("", self.server, **documentation.SERVER)
        add("/health/live", self.live, **documentation.LIVE)
        add("/health/ready", self.ready, **documentation.READY)

    def _add_models(self) -> None:
        add = self.router.add_api_route
        add("/models/stats", self.all_statistics, **documentation.ALL_STATISTICS)
        self._add_model("", self._metadata, "GET", documentation.METADATA)
        self._add_model("/ready", self._model_ready, "GET", documentation.MODEL_READY)
        self._add_model("/config", self._config, "GET", documentation.CONFIG)
        self._add_model("/stats", self._model_statistics, "GET", documentation.STATISTICS)
        self._add_model("/infer", self._infer, "POST", documentation.INFER)

    def _add_repository(self) -> None:
        add = self.router.add_api_route
        add("/repository/index", self.index, methods=["POST"], **documentation.INDEX)
        model = "/repository/models/{model}"
        add(f"{model}/load", self.load, methods=["POST"], **documentation.LOAD)
        add(f"{model}/unload", self.unload, methods=["POST"], **documentation.UNLOAD)

    def _add_model(self, suffix: str, handler: Handler, method: str, docs: dict[str, Any]) -> None:
        """The same of any version of a model, and of one."""

        async def of_any_version(request: Request, model: ModelName) -> Response:
            return await handler(request, model, "")

        async def of_one_version(
            request: Request, model: ModelName, version: ModelVersion
        ) -> Response:
            return await handler(request, model, version)

        model = "/models/{model}"
        add = self.router.add_api_route
        add(f"{model}{suffix}", of_any_version, methods=[method], **docs)
        add(f"{model}/versions/{{version}}{suffix}", of_one_version, methods=[method], **docs)

    async def server(self) -> Response:
        """Name, version and extensions."""
        return json_response(server_metadata())

    async def live(self) -> Response:
        """200 while the process can answer at all."""
        return json_response({"live": True})

    async def ready(self) -> Response:
        """200 while work is taken, else 503."""
        ready = self._inference.is_ready()
        response = json_response({"ready": ready})
        response.status_code = 200 if ready else 503
        return response

    async def all_statistics(self) -> Response:
        """Figures of every model."""
        return json_response(model_statistics(self._inference.models(), self._statistics))

    async def index(self, request: Request) -> Response:
        """Every model that is loaded or could be."""
        command = await self._command(request)
        ready_only = command.get("ready", False)
        if not isinstance(ready_only, bool):
            raise invalid("ready must be true or false.")
        return json_response(await self._repository.index(ready_only=ready_only))

    async def load(self, request: Request, model: ModelName) -> Response:
        """Load, warm up and test a model; the former ones go on."""
        await self._repository.load(model, _parameters(await self._command(request)))
        return Response()

    async def unload(self, request: Request, model: ModelName) -> Response:
        """Take no more requests for a model, let it finish those it has, and let it go."""
        await self._repository.unload(model, _parameters(await self._command(request)))
        return Response()

    async def nothing(self, request: Request) -> Response:
        """404, or 405 where the path is known for another method."""
        known = (r for r in self.router.routes if r.matches(request.scope)[0] is Match.PARTIAL)
        methods = {method for route in known for method in getattr(route, "methods", ())}
        allowed = sorted(methods | ({"HEAD"} if "GET" in methods else set()))
        status = HTTPStatus.METHOD_NOT_ALLOWED if allowed else HTTPStatus.NOT_FOUND
        detail = f"{request.method} {request.url.path}: {status.phrase}. See /docs."
        raise HTTPException(status, detail, {"Allow": ", ".join(allowed)} if allowed else None)

    async def _metadata(self, request: Request, model: str, version: str) -> Response:
        del request
        found = self._inference.find(model, version)
        return json_response(model_metadata(found, self._inference.models()))

    async def _model_ready(self, request: Request, model: str, version: str) -> Response:
        del request
        self._inference.find(model, version)
        ready = self._inference.is_ready()
        response = json_response({"name": model, "ready": ready})
        response.status_code = 200 if ready else 503
        return response

    async def _config(self, request: Request, model: str, version: str) -> Response:
        del request
        return json_response(model_config(self._inference.find(model, version)))

    async def _model_statistics(self, request: Request, model: str, version: str) -> Response:
        del request
        found = self._inference.matching(model, version)
        return json_response(model_statistics(found, self._statistics))

    async def _infer(self, request: Request, model: str, version: str) -> Response:
        max_bytes = self._inference.limits.max_request_bytes
        self._inference.check_ready()
        async with self._bodies.read(request, max_bytes) as body:
            try:
                wire = self._infer_request(request, model, version, body)
            except OpenInferenceError as error:
                self._inference.refused(error)
                raise
            response = await self._inference.infer(wire.request)
        content, json_length = infer_response(response, wire.is_binary)
        if json_length is None:
            return Response(content, media_type="application/json")
        headers = {JSON_LENGTH_HEADER: str(json_length)}
        return Response(content, headers=headers, media_type="application/octet-stream")

    def _infer_request(
        self, request: Request, model: str, version: str, body: bytes
    ) -> RestRequest:
        refuse_in_query(request.query_params)
        headers = request.headers
        if len(headers.getlist("idempotency-key")) > 1:
            raise invalid("Give one Idempotency-Key; there are several.")
        call = Call(
            headers.get("traceparent"),
            headers.get("idempotency-key"),
            getattr(request.state, "caller", ""),
        )
        text, binary = split(body, headers.get(JSON_LENGTH_HEADER))
        if JSON_LENGTH_HEADER in headers and not len(text):
            return raw_request(self._inference.find(model, version), version, binary, call)
        document = parsed_json(text, self._most_json_values())
        return infer_request(model, version, document, binary, call)

    def _most_json_values(self) -> int:
        """As many as the largest tensor of numbers, and room for all else."""
        sizes = (
            model.max_batch * prod(size for size in spec.shape if size != ANY_SIZE)
            for model in self._inference.models()
            for spec in model.inputs
        )
        return max(sizes, default=0) + _MOST_VALUES_BESIDE_TENSORS

    async def _command(self, request: Request) -> dict[str, Any]:
        """The JSON of a request that holds no tensors; nothing at all is an empty object."""
        async with self._bodies.read(request, _MAX_COMMAND_BYTES) as body:
            return parsed_json(memoryview(body), _MOST_VALUES_BESIDE_TENSORS) if body else {}


def _parameters(command: dict[str, Any]) -> dict[str, Any]:
    parameters = command.get("parameters", {})
    if not isinstance(parameters, dict):
        raise invalid("parameters must be an object.")
    return parameters
