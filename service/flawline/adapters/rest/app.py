"""Puts the HTTP application together from what it is handed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from prometheus_client import CollectorRegistry

import flawline
from flawline.adapters.rest.body import BodyLimits, BodyReader
from flawline.adapters.rest.documentation import (
    DESCRIPTION,
    FOREIGN_PAGE_ANSWER,
    UNAUTHENTICATED_ANSWER,
)
from flawline.adapters.rest.head import HeadAsGet
from flawline.adapters.rest.inspections import INSPECTIONS_PATH, InspectionRoutes
from flawline.adapters.rest.models import ModelRoutes
from flawline.adapters.rest.operations import OperationRoutes
from flawline.adapters.rest.parameters import InspectionBody
from flawline.adapters.rest.problems import install_problem_handlers
from flawline.adapters.rest.schemas import Problem
from flawline.adapters.rest.short_way import ShortWay
from flawline.adapters.rest.unexpected import UnexpectedErrors
from flawline.application.inspector import Inspector
from flawline.application.models import ModelControl
from flawline.application.request_room import RequestRoom
from flawline.application.tickets import Tickets


def create_app(
    inspector: Inspector,
    tickets: Tickets,
    models: ModelControl,
    registry: CollectorRegistry,
    *,
    limits: BodyLimits,
    unlocked_paths: Collection[str] | None = None,
    room: RequestRoom | None = None,
    routers: Sequence[APIRouter] = (),
) -> FastAPI:
    """The ASGI application; `/docs` needs no network (fastapi-offline brings Swagger UI's files).

    `registry` is what `/metrics` shows. `unlocked_paths` documents that a token is asked for at all others; the lock
    itself stands before this application. Inspector and models are started and stopped elsewhere.
    routers: of other protocols on the same port; room: for the bodies of all of them together.
    """
    app: FastAPI = FastAPIOffline(
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs/static",
        title="Flawline",
        version=flawline.__version__,
        description=DESCRIPTION,
        # A caller that posts does not follow, and gets no word of what is wrong: 404 says it.
        redirect_slashes=False,
        # The validator badge would ask a server on the internet.
        swagger_ui_parameters={"validatorUrl": None},
    )
    bodies = BodyReader(inspector, limits, room)
    inspections = InspectionRoutes(inspector, tickets, bodies)
    app.include_router(inspections.router)
    app.include_router(ModelRoutes(models, bodies).router)
    app.include_router(OperationRoutes(inspector, registry).router)
    for router in routers:
        app.include_router(router)
    install_problem_handlers(app, inspector.refused)
    app.add_middleware(
        ShortWay,
        path=INSPECTIONS_PATH,
        handle=inspections.inspect_unrouted,
        handlers=app.exception_handlers,
    )
    app.add_middleware(UnexpectedErrors, verdict_path=INSPECTIONS_PATH)
    app.add_middleware(HeadAsGet)
    _complete_document(app, unlocked_paths)
    return app


def _complete_document(app: FastAPI, unlocked_paths: Collection[str] | None) -> None:
    """Add what FastAPI does not see: schemas beside JSON answers, and what is refused before it."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            )
            schemas = document["components"]["schemas"]
            for model in (Problem, InspectionBody):
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
            _document_foreign_pages(document)
            if unlocked_paths is not None:
                _document_lock(document, unlocked_paths)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents for extending it


def _document_foreign_pages(document: dict[str, Any]) -> None:
    """What stands before this application refuses them, whichever route they would have reached."""
    for operations in document["paths"].values():
        for method, operation in operations.items():
            if method == "get":
                continue
            known = operation["responses"].get("403", {"description": "", "content": {}})
            says = f"{known['description']} {FOREIGN_PAGE_ANSWER['description']}".lstrip()
            content = FOREIGN_PAGE_ANSWER["content"] | known["content"]
            operation["responses"]["403"] = {"description": says, "content": content}


def _document_lock(document: dict[str, Any], unlocked_paths: Collection[str]) -> None:
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in unlocked_paths:
                operation["security"] = []
            else:
                operation["responses"]["401"] = UNAUTHENTICATED_ANSWER
