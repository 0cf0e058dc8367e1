"""The four clients that ask for single frames, in one shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from scripted_service import TOKEN, Ask, ScriptedService

from flawline.client import Frame, Inspection
from flawline.client.grpc import AsyncGrpcClient, GrpcClient
from flawline.client.rest import AsyncRestClient, RestClient


@pytest.fixture
async def service() -> AsyncIterator[ScriptedService]:
    async with ScriptedService() as service:
        yield service


CLIENTS = ["rest", "rest blocking", "grpc", "grpc blocking"]


@pytest.fixture(params=CLIENTS)
async def make_client(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Ask]]:
    """make_client(service, **options) -> ask(frame, **options): the same way for all four."""
    async with AsyncExitStack() as open_clients:

        def make(service: Any, **options: Any) -> Ask:
            where = service.url if "rest" in request.param else service.target
            options = {"token": TOKEN, "deadline_s": 20.0, **options}
            if "blocking" not in request.param:
                kind = AsyncRestClient if request.param == "rest" else AsyncGrpcClient
                client = kind(where, **options)
                open_clients.push_async_callback(client.aclose)
                return client.inspect
            kind = RestClient if "rest" in request.param else GrpcClient
            blocking = kind(where, **options)
            open_clients.push_async_callback(asyncio.to_thread, blocking.close)

            async def ask(frame: Frame, **options: Any) -> Inspection:
                return await asyncio.to_thread(blocking.inspect, frame, **options)

            return ask

        yield make


@pytest.fixture
async def ask(service: ScriptedService, make_client: Callable[..., Ask]) -> Ask:
    return make_client(service)
