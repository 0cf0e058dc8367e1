"""An OpenTelemetry collector of the tests' own: takes spans over OTLP, and keeps them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service

ARRIVES_WITHIN_S = 30


@dataclass(frozen=True)
class ReceivedSpan:
    """A span, and the name of the service that sent it. Moments are nanoseconds since 1970."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    began_ns: int
    ended_ns: int
    attributes: dict[str, Any] = field(hash=False)


class Collector(service.TraceServiceServicer):
    def __init__(self) -> None:
        self._spans: list[ReceivedSpan] = []
        self._arrived = threading.Condition()
        self.endpoint = ""

    def Export(self, request: messages.ExportTraceServiceRequest, context: object) -> object:  # noqa: N802
        with self._arrived:
            for part in request.resource_spans:
                sent_by = _values(part.resource.attributes)["service.name"]
                for scope in part.scope_spans:
                    self._spans += [_received(sent_by, span) for span in scope.spans]
            self._arrived.notify_all()
        return messages.ExportTraceServiceResponse()

    def until(self, enough: Callable[[list[ReceivedSpan]], bool]) -> list[ReceivedSpan]:
        """All spans so far, the earliest first, once they are enough."""
        ends_s = time.monotonic() + ARRIVES_WITHIN_S
        with self._arrived:
            while not enough(self._spans):
                assert self._arrived.wait(ends_s - time.monotonic()), self._spans
            return sorted(self._spans, key=lambda span: span.began_ns)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens on a free port."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    service.add_TraceServiceServicer_to_server(collector, server)
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield collector
    server.stop(0).wait()


def _received(sent_by: str, span: Any) -> ReceivedSpan:
    return ReceivedSpan(
        service=sent_by,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        attributes=_values(span.attributes),
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {
        entry.key: getattr(entry.value, entry.value.WhichOneof("value")) for entry in attributes
    }
