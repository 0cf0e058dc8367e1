"""Puts the HTTP application together from what it is handed."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from prometheus_client import CollectorRegistry

import flawline
from flawline.adapters.rest.body import BodyReader
from flawline.adapters.rest.documentation import DESCRIPTION
from flawline.adapters.rest.inspections import INSPECTIONS_PATH, InspectionRoutes
from flawline.adapters.rest.operations import OperationRoutes
from flawline.adapters.rest.problems import install_problem_handlers
from flawline.adapters.rest.schemas import Problem
from flawline.adapters.rest.unexpected import UnexpectedErrors
from flawline.application.inspector import Inspector


def create_app(
    inspector: Inspector,
    registry: CollectorRegistry,
    *,
    max_body_bytes: int,
    body_timeout_s: float = 30.0,
    max_open_bytes: int = 256_000_000,
) -> FastAPI:
    """The ASGI application; `/docs` needs no network (fastapi-offline brings Swagger UI's files).

    `registry` is what `/metrics` shows. The Inspector is started and stopped elsewhere.
    """
    app: FastAPI = FastAPIOffline(
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs/static",
        title="Flawline",
        version=flawline.__version__,
        description=DESCRIPTION,
        # The validator badge would ask a server on the internet.
        swagger_ui_parameters={"validatorUrl": None},
    )
    bodies = BodyReader(
        inspector,
        max_bytes=max_body_bytes,
        timeout_s=body_timeout_s,
        max_open_bytes=max_open_bytes,
    )
    inspections = InspectionRoutes(inspector, bodies)
    app.include_router(inspections.router)
    app.include_router(OperationRoutes(inspector, registry).router)
    install_problem_handlers(app, inspector.refused)
    app.add_middleware(UnexpectedErrors, verdict_path=INSPECTIONS_PATH)
    _document_problems(app)
    return app


def _document_problems(app: FastAPI) -> None:
    """Add the problem's schema, which FastAPI would collect for JSON answers only."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            )
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            document["components"]["schemas"] |= schema.pop("$defs", {}) | {"Problem": schema}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents for extending it
