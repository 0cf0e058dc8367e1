"""The HTTP application on a scripted Inspector, with tickets of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from scripted_inspector import ScriptedInspector, models_of

from flawline.adapters.memory_tickets import MemoryTickets
from flawline.adapters.rest import BodyLimits, create_app
from flawline.adapters.system_clock import SystemClock
from flawline.application.inspector import Inspector
from flawline.application.models import ModelControl
from flawline.application.tickets import Tickets


def app_of(
    inspector: ScriptedInspector | Inspector,
    registry: CollectorRegistry | None = None,
    models: ModelControl | None = None,
    routers: Sequence[APIRouter] = (),
    **limits: Any,
) -> FastAPI:
    clock = SystemClock()
    return create_app(
        inspector,
        Tickets([MemoryTickets(600.0, 100, clock)], clock),
        models or models_of(inspector),
        registry or CollectorRegistry(),
        limits=BodyLimits(**({"max_bytes": 1000} | limits)),
        routers=routers,
    )
