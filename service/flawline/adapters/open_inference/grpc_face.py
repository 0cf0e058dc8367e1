"""The gRPC face: `inference.GRPCInferenceService`."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from flawline.adapters.open_inference.descriptions import (
    model_config,
    model_metadata,
    model_statistics,
    server_metadata,
)
from flawline.adapters.open_inference.errors import (
    Kind,
    OpenInferenceError,
    invalid,
    no_verdict,
    translated,
    unexpected,
)
from flawline.adapters.open_inference.grpc_wire import request_from_wire, response_to_wire
from flawline.adapters.open_inference.inference import InferenceService
from flawline.adapters.open_inference.messages import Call
from flawline.adapters.open_inference.repository import RepositoryService
from flawline.application.failures import new_error_id
from flawline.application.statistics import Statistics
from flawline.core.errors import InspectionError
from flawline.core.values import Verdict
from flawline.rpc.open_inference import grpc_service_pb2 as pb
from flawline.rpc.open_inference import grpc_service_pb2_grpc as pb_grpc

logger = logging.getLogger(__name__)
A = TypeVar("A")
M = TypeVar("M", bound=Message)

CODES = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.BUSY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}
_WITHOUT_VERDICT = {Kind.BUSY, Kind.INTERNAL, Kind.UNAVAILABLE}
_DETAILS_KEY = "grpc-status-details-bin"
# A call is over for its client at its deadline: the answer sets out before it, to arrive in time.
_JOURNEY_SHARE = 0.1
_LONGEST_JOURNEY_MS = 50.0

CallerOf = Callable[[Sequence[tuple[str, Any]]], str]


class OpenInferenceServicer(pb_grpc.GRPCInferenceServiceServicer):
    """Serves the protocol. caller_of: who calls, from a call's metadata; "" for anybody."""

    def __init__(
        self,
        inference: InferenceService,
        repository: RepositoryService,
        statistics: Statistics,
        caller_of: CallerOf,
    ) -> None:
        self._inference = inference
        self._repository = repository
        self._statistics = statistics
        self._caller_of = caller_of

    name = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name

    @property
    def descriptors(self) -> DescriptorPool:
        """Where reflection finds the protocol: not in the pool that all else is in."""
        return pb.DESCRIPTOR.pool

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve it there."""
        pb_grpc.add_GRPCInferenceServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call]

    async def ServerLive(  # noqa: N802 - the name gRPC calls; likewise below
        self, request: pb.ServerLiveRequest, context: grpc.aio.ServicerContext
    ) -> pb.ServerLiveResponse:
        """True while the process can answer at all."""
        del request, context
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(  # noqa: N802
        self, request: pb.ServerReadyRequest, context: grpc.aio.ServicerContext
    ) -> pb.ServerReadyResponse:
        """Whether work is taken."""
        del request, context
        return pb.ServerReadyResponse(ready=self._inference.is_ready())

    async def ModelReady(  # noqa: N802
        self, request: pb.ModelReadyRequest, context: grpc.aio.ServicerContext
    ) -> pb.ModelReadyResponse:
        """Whether work is taken for a model that is here."""

        async def work() -> pb.ModelReadyResponse:
            self._inference.find(request.name, request.version)
            return pb.ModelReadyResponse(ready=self._inference.is_ready())

        return await _answered(context, work())

    async def ServerMetadata(  # noqa: N802
        self, request: pb.ServerMetadataRequest, context: grpc.aio.ServicerContext
    ) -> pb.ServerMetadataResponse:
        """Name, version and extensions."""
        del request, context
        return _filled(server_metadata(), pb.ServerMetadataResponse())

    async def ModelMetadata(  # noqa: N802
        self, request: pb.ModelMetadataRequest, context: grpc.aio.ServicerContext
    ) -> pb.ModelMetadataResponse:
        """A model's tensors."""

        async def work() -> pb.ModelMetadataResponse:
            model = self._inference.find(request.name, request.version)
            document = model_metadata(model, self._inference.models())
            return _filled(document, pb.ModelMetadataResponse())

        return await _answered(context, work())

    async def ModelConfig(  # noqa: N802
        self, request: pb.ModelConfigRequest, context: grpc.aio.ServicerContext
    ) -> pb.ModelConfigResponse:
        """A model's tensors and limits."""

        async def work() -> pb.ModelConfigResponse:
            config = model_config(self._inference.find(request.name, request.version))
            return _filled({"config": config}, pb.ModelConfigResponse())

        return await _answered(context, work())

    async def ModelStatistics(  # noqa: N802
        self, request: pb.ModelStatisticsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ModelStatisticsResponse:
        """Figures of one model, or of all."""

        async def work() -> pb.ModelStatisticsResponse:
            models = self._inference.matching(request.name, request.version)
            document = model_statistics(models, self._statistics)
            return _filled(document, pb.ModelStatisticsResponse())

        return await _answered(context, work())

    async def ModelInfer(  # noqa: N802
        self, request: pb.ModelInferRequest, context: grpc.aio.ServicerContext
    ) -> pb.ModelInferResponse:
        """Ask a model."""

        async def work() -> pb.ModelInferResponse:
            try:
                inference = request_from_wire(request, self._call(context))
            except OpenInferenceError as error:
                self._inference.refused(error)
                raise
            response = await self._inference.infer(inference)
            return response_to_wire(response, raw=bool(request.raw_input_contents))

        return await _answered(context, work())

    async def RepositoryIndex(  # noqa: N802
        self, request: pb.RepositoryIndexRequest, context: grpc.aio.ServicerContext
    ) -> pb.RepositoryIndexResponse:
        """Every model that is loaded or could be."""

        async def work() -> pb.RepositoryIndexResponse:
            models = await self._repository.index(ready_only=request.ready)
            return _filled({"models": models}, pb.RepositoryIndexResponse())

        return await _answered(context, work())

    async def RepositoryModelLoad(  # noqa: N802
        self, request: pb.RepositoryModelLoadRequest, context: grpc.aio.ServicerContext
    ) -> pb.RepositoryModelLoadResponse:
        """Load, warm up and test a model; the former ones go on."""

        async def work() -> pb.RepositoryModelLoadResponse:
            await self._repository.load(request.model_name, _parameters(request))
            return pb.RepositoryModelLoadResponse()

        return await _answered(context, work())

    async def RepositoryModelUnload(  # noqa: N802
        self, request: pb.RepositoryModelUnloadRequest, context: grpc.aio.ServicerContext
    ) -> pb.RepositoryModelUnloadResponse:
        """Take no more requests for a model, let it finish those it has, and let it go."""

        async def work() -> pb.RepositoryModelUnloadResponse:
            await self._repository.unload(request.model_name, _parameters(request))
            return pb.RepositoryModelUnloadResponse()

        return await _answered(context, work())

    def _call(self, context: grpc.aio.ServicerContext) -> Call:
        metadata = tuple(context.invocation_metadata() or ())
        values = dict(metadata)
        if sum(name == "idempotency-key" for name, _ in metadata) > 1:
            raise invalid("Give one idempotency-key; there are several.")
        return Call(
            values.get("traceparent"),
            values.get("idempotency-key"),
            self._caller_of(metadata),
            _remaining_ms(context.time_remaining()),
        )


def _filled(document: dict[str, Any], message: M) -> M:
    """The message with what the document, in the JSON spelling of messages, says."""
    ParseDict(document, message)
    return message


async def _answered(context: grpc.aio.ServicerContext, work: Awaitable[A]) -> A:
    """What the work gives, or the call ends with the status of what it raised."""
    try:
        return await work
    except OpenInferenceError as error:
        _end(context, error)
    except InspectionError as error:
        _end(context, translated(error))
    except Exception:
        error_id = new_error_id()
        logger.exception("call_failed service=open_inference error_id=%s", error_id)
        _end(context, unexpected(error_id))
    return cast("A", None)  # not sent, as the status is not OK


def _end(context: grpc.aio.ServicerContext, error: OpenInferenceError) -> None:
    """Not by `abort`: what that raises holds itself, and the tensors by way of the frames it comes through."""
    code, message = CODES[error.kind], str(error)
    metadata = {"verdict": Verdict.UNDEFINED.value} if error.kind in _WITHOUT_VERDICT else {}
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.code.upper(), domain="flawline", metadata=metadata)
    ]
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    context.set_code(code)
    context.set_details(message)
    context.set_trailing_metadata(((_DETAILS_KEY, status.SerializeToString()),))


def _remaining_ms(remaining_s: float | None) -> int | None:
    """What a call's own deadline leaves for the work. Raises OpenInferenceError when nothing."""
    if remaining_s is None:
        return None
    if remaining_s <= 0:
        raise no_verdict("The call's deadline passed before it could be accepted.", "deadline")
    remaining_ms = remaining_s * 1000
    return max(1, int(remaining_ms - min(_LONGEST_JOURNEY_MS, remaining_ms * _JOURNEY_SHARE)))


def _parameters(
    request: pb.RepositoryModelLoadRequest | pb.RepositoryModelUnloadRequest,
) -> dict[str, Any]:
    values = request.parameters.items()
    return {
        name: getattr(value, value.WhichOneof("parameter_choice") or "string_param")
        for name, value in values
    }
