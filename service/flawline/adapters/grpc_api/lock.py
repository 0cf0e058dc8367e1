"""The lock before every gRPC method, of whichever service, unary or streaming."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc

from flawline.adapters.grpc_api.statuses import wire_error
from flawline.core.errors import Unauthenticated
from flawline.core.lock import Lock

# Probes carry no credentials.
_OPEN_METHODS = frozenset(
    {"/inference.GRPCInferenceService/ServerLive", "/inference.GRPCInferenceService/ServerReady"}
)
_OPEN_SERVICE = "/grpc.health.v1.Health/"


def authorization_of(metadata: Iterable[tuple[str, Any]] | None) -> str | None:
    """The `authorization` value that a call carries."""
    value = dict(metadata or ()).get("authorization")
    return value.decode("latin-1") if isinstance(value, bytes) else value


class LockInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # untyped library
    """UNAUTHENTICATED without the token. `refused` is told the code of each call not let in."""

    def __init__(self, lock: Lock, refused: Callable[[str], None]) -> None:
        self._lock = lock
        self._refused = refused

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """The method's own handler, or one that refuses."""
        method = handler_call_details.method
        if method in _OPEN_METHODS or method.startswith(_OPEN_SERVICE):
            return await continuation(handler_call_details)
        try:
            self._lock.caller_of(authorization_of(handler_call_details.invocation_metadata))
        except Unauthenticated as error:
            self._refused(error.code)
            return _refusing(error)
        return await continuation(handler_call_details)


def _refusing(error: Unauthenticated) -> grpc.RpcMethodHandler:
    """For calls of every kind: on the wire they are alike, and this kind waits for no message."""
    outcome = wire_error(error)

    async def refuse(requests: object, context: grpc.aio.ServicerContext) -> None:
        del requests
        await context.abort(outcome.code, outcome.message, outcome.trailing_metadata())

    return grpc.stream_stream_rpc_method_handler(refuse)
