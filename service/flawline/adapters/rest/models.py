"""`/v1/models`, `/v1/artifacts`, `/v1/aliases/stable`: which models inspect, and changing that."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import APIRouter, Path
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from flawline.adapters.rest.body import BodyReader
from flawline.adapters.rest.json_body import without_byte_order_mark
from flawline.adapters.rest.model_documentation import (
    LOAD_RESPONSES,
    MODEL_RESPONSES,
    ROLL_BACK_BODY,
    ROLL_BACK_RESPONSES,
    STABLE_BODY,
    SWITCH_RESPONSES,
    UNLOAD_RESPONSES,
)
from flawline.adapters.rest.model_schemas import (
    ArtifactAnswer,
    ArtifactsAnswer,
    LoadedModelAnswer,
    ModelsAnswer,
    RollBackBody,
    StableAnswer,
    StableBody,
)
from flawline.adapters.rest.problems import RefusedError
from flawline.adapters.rest.submission import body_faults
from flawline.application.models import ModelControl, is_called, names_of
from flawline.core.model_errors import UnknownModel
from flawline.core.values import ModelInfo

_MOST_BODY_BYTES = 4096
_MODEL_PATH = "/v1/models/{name}/{version}"
_STABLE_PATH = "/v1/aliases/stable"

B = TypeVar("B", bound=BaseModel)
Name = Annotated[str, Path(max_length=64, examples=["mobilemamba-nano-neu"])]
Version = Annotated[str, Path(max_length=64, examples=["0.1.0"])]


class ModelRoutes:
    """Reads and changes one ModelControl.

    A change needs a method or a content type for which a browser asks first, so that no foreign page
    can make one on an operator's machine.
    """

    def __init__(self, models: ModelControl, bodies: BodyReader) -> None:
        self._models = models
        self._bodies = bodies
        self.router = APIRouter(tags=["models"])
        add = self.router.add_api_route
        add("/v1/models", self.loaded, summary="The models that inspect here")
        add(_MODEL_PATH, self.one, summary="One of them", responses=MODEL_RESPONSES)
        add(
            _MODEL_PATH,
            self.load,
            methods=["PUT"],
            summary="Load a model",
            response_model=LoadedModelAnswer,
            responses=LOAD_RESPONSES,
        )
        add(
            _MODEL_PATH,
            self.unload,
            methods=["DELETE"],
            summary="Unload a model",
            status_code=204,
            responses=UNLOAD_RESPONSES,
        )
        add("/v1/artifacts", self.artifacts, summary="What could be loaded here")
        add(_STABLE_PATH, self.stable, summary="The model of requests that name none")
        add(
            _STABLE_PATH,
            self.switch,
            methods=["PUT"],
            summary="Make a model stable",
            responses=SWITCH_RESPONSES,
            openapi_extra=STABLE_BODY,
        )
        add(
            f"{_STABLE_PATH}/rollback",
            self.roll_back,
            methods=["POST"],
            summary="Make stable again what was before",
            responses=ROLL_BACK_RESPONSES,
            openapi_extra=ROLL_BACK_BODY,
        )

    async def loaded(self) -> ModelsAnswer:
        """Each artifact with its classes, input size, suggested thresholds and measured quality."""
        return ModelsAnswer(models=[self._answer(info) for info in self._models.loaded()])

    async def one(self, name: Name, version: Version) -> LoadedModelAnswer:
        """The same of one artifact."""
        loaded = self._models.loaded()
        for info in loaded:
            if is_called(info, name, version):
                return self._answer(info)
        raise UnknownModel(name, version, names_of(loaded))

    async def load(self, name: Name, version: Version, response: Response) -> LoadedModelAnswer:
        """Load it beside the others, warm it up, and test it; this may take as long as it takes.

        It then inspects for requests that name it. Repeating the call changes nothing.
        """
        before = any(is_called(info, name, version) for info in self._models.loaded())
        info = await self._models.load(name, version)
        response.status_code = 200 if before else 201
        return self._answer(info)

    async def unload(self, name: Name, version: Version) -> Response:
        """Let it answer what it was asked, then free its memory. The stable one stays."""
        await self._models.unload(name, version)
        return Response(status_code=204)

    async def artifacts(self) -> ArtifactsAnswer:
        """The files in FLAWLINE_MODELS_DIR, and those that came with the service."""
        loaded = frozenset(info.ref for info in self._models.loaded())
        found = await self._models.artifacts()
        return ArtifactsAnswer(artifacts=[ArtifactAnswer.of(one, loaded) for one in found])

    async def stable(self) -> StableAnswer:
        """And where a roll back leads."""
        return StableAnswer.of(self._models)

    async def switch(self, request: Request) -> StableAnswer:
        """Loaded first, as by `PUT /v1/models/...`, if it is not.

        Requests that were accepted before are answered by the former model, which stays loaded for a
        roll back until another one needs its place. A model that cannot be used changes nothing.
        """
        body = await self._body(request, StableBody)
        await self._models.switch(body.name, body.version)
        return StableAnswer.of(self._models)

    async def roll_back(self, request: Request) -> StableAnswer:
        """At once if the former model is still loaded; else it is loaded again."""
        body = await self._body(request, RollBackBody)
        await self._models.roll_back(body.former.name, body.former.version)
        return StableAnswer.of(self._models)

    def _answer(self, info: ModelInfo) -> LoadedModelAnswer:
        return LoadedModelAnswer.of(info, self._models.stable.info.ref)

    async def _body(self, request: Request, schema: type[B]) -> B:
        """Raises RefusedError (400, 408, 413, 415), RequestValidationError."""
        media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type != "application/json":
            raise RefusedError(
                415,
                "unsupported_media_type",
                f"The body is said to be {media_type[:64]!r}; send application/json.",
                headers={"Accept": "application/json"},
            )
        content = await self._bodies.read_small(request, _MOST_BODY_BYTES)
        try:
            return schema.model_validate_json(without_byte_order_mark(content))
        except ValidationError as error:
            raise body_faults(error) from error
