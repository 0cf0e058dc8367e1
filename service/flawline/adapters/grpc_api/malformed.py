"""Messages that cannot be read: gRPC itself would answer UNKNOWN and log a traceback, as if the fault were ours."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from flawline.adapters.grpc_api.statuses import wire_error
from flawline.core.errors import InvalidRequest


class Malformed:
    """Stands for a message that could not be read."""


MALFORMED: Final = Malformed()


def malformed_message() -> InvalidRequest:
    """What whoever sent it is told."""
    detail = "The message cannot be read: it is no protobuf, or not that of this method."
    return InvalidRequest("message", detail)


class MalformedInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # untyped library
    """INVALID_ARGUMENT for calls whose message cannot be read; `refused` is told the code of each.

    streams: full names of methods that look for MALFORMED among what they read themselves.
    """

    def __init__(self, refused: Callable[[str], None], streams: frozenset[str]) -> None:
        self._refused = refused
        self._streams = streams
        self._guarded: dict[str, grpc.RpcMethodHandler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """The method's own handler, behind a look at its message."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.request_deserializer is None:
            return handler
        if handler.request_streaming:
            return _tolerant(handler) if method in self._streams else handler
        if method not in self._guarded:
            self._guarded[method] = self._behind_a_look(handler)
        return self._guarded[method]

    def _behind_a_look(self, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        kind = "unary_stream" if handler.response_streaming else "unary_unary"
        serve = getattr(handler, kind)
        if inspect.isasyncgenfunction(serve):
            return _tolerant(handler)._replace(**{kind: self._generator(serve)})
        if inspect.iscoroutinefunction(serve):
            return _tolerant(handler)._replace(**{kind: self._coroutine(serve)})
        return handler

    def _coroutine(self, serve: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def served(request: object, context: grpc.aio.ServicerContext) -> Any:
            if request is MALFORMED:
                await self._refuse(context)
            return await serve(request, context)

        return served

    def _generator(self, serve: Callable[..., AsyncIterator[Any]]) -> Callable[..., Any]:
        async def served(request: object, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
            if request is MALFORMED:
                await self._refuse(context)
            async for answer in serve(request, context):
                yield answer

        return served

    async def _refuse(self, context: grpc.aio.ServicerContext) -> None:
        error = malformed_message()
        self._refused(error.code)
        outcome = wire_error(error)
        await context.abort(outcome.code, outcome.message, outcome.trailing_metadata())


def _tolerant(handler: grpc.RpcMethodHandler) -> Any:
    read = handler.request_deserializer

    def read_or_malformed(data: bytes) -> object:
        try:
            return read(data)
        except DecodeError:
            return MALFORMED

    return handler._replace(request_deserializer=read_or_malformed)
