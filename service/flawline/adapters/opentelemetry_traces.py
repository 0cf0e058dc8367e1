"""Traces as OpenTelemetry spans, sent over OTLP. Needs the extra `otel`; nothing else imports it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from flawline.application.job import Failed, JobOutcome, Lease, PictureRefused
from flawline.application.ports import Clock
from flawline.application.traces import StageSpan
from flawline.core.values import Inspection, Verdict

logger = logging.getLogger(__name__)

_LIBRARY = "opentelemetry.exporter.otlp.proto.grpc.exporter"
_SEND_EVERY_S = 1.0
_SEND_WITHIN_S = 2.0
_PROPAGATOR = TraceContextTextMapPropagator()


def otlp_sender(endpoint: str) -> SpanProcessor:
    """Sends spans in batches from a thread of its own; those that do not fit its queue are dropped.

    endpoint: http:// or https://, with the port of a collector's OTLP over gRPC (4317 by custom).
    """
    exporter = ToldOnce(OTLPSpanExporter(endpoint, timeout=_SEND_WITHIN_S))
    return BatchSpanProcessor(exporter, schedule_delay_millis=_SEND_EVERY_S * 1000)


class ToldOnce(SpanExporter):
    """Sends by another one, of OTLP over gRPC, which would say every second that the collector is away."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._away = False
        self._why = ""
        logging.getLogger(_LIBRARY).addFilter(self._heard)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Whether they were taken; in the log, where that changed."""
        result = self._exporter.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            logger.warning("traces_not_sent: %s", self._why)
        elif self._away and not away:
            logger.warning("traces_sent_again")
        self._away = away
        return result

    def shutdown(self) -> None:
        """Send no more."""
        logging.getLogger(_LIBRARY).removeFilter(self._heard)
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return self._exporter.force_flush(timeout_millis)

    def _heard(self, record: logging.LogRecord) -> bool:
        """What the library says goes into our own words, and no further."""
        if record.levelno >= logging.ERROR:
            self._why = record.getMessage()
        return False


class OpenTelemetryTraces:
    """Makes the spans.

    A caller's trace is recorded if he says so; of inspections that come without one the share
    `ratio`, 0 to 1. service: the name under which this process is shown.
    """

    def __init__(
        self, sender: SpanProcessor, clock: Clock, *, service: str, version: str, ratio: float
    ) -> None:
        self._clock = clock
        resource = Resource.create({SERVICE_NAME: service, SERVICE_VERSION: version})
        sampler = ParentBased(TraceIdRatioBased(ratio))
        self._provider = TracerProvider(sampler, resource, shutdown_on_exit=False)
        self._provider.add_span_processor(sender)
        self._tracer = self._provider.get_tracer("flawline", version)

    def begin(self, traceparent: str | None) -> OpenTelemetrySpan:
        """The span of an inspection, from now; in the caller's trace if he sent one."""
        context = _PROPAGATOR.extract({"traceparent": traceparent} if traceparent else {})
        span = self._tracer.start_span(
            "inspection", context, kind=SpanKind.SERVER, start_time=_now_ns(self._clock)
        )
        return OpenTelemetrySpan(span, self._clock)

    def worked(self, lease: Lease, outcome: JobOutcome, spans: Sequence[StageSpan]) -> None:
        """The stages, as children of the inspection's span, at the times they took."""
        if lease.job.traceparent is None:
            return
        context = _PROPAGATOR.extract({"traceparent": lease.job.traceparent})
        attributes: Mapping[str, AttributeValue] = {
            "flawline.job_id": lease.job.job_id,
            "flawline.deliveries": lease.deliveries,
        }
        now_ns, now_s = _now_ns(self._clock), self._clock.monotonic_s()
        for number, stage in enumerate(spans, start=1):
            span = self._tracer.start_span(
                stage.stage,
                context,
                attributes=attributes,
                start_time=now_ns - int((now_s - stage.started_s) * 1e9),
            )
            if number == len(spans) and isinstance(outcome, Failed | PictureRefused):
                span.set_status(Status(StatusCode.ERROR, _why_failed(outcome)))
            span.end(now_ns - int((now_s - stage.ended_s) * 1e9))

    async def close(self) -> None:
        """Send what is left, in bounded time."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, _SEND_WITHIN_S)


class OpenTelemetrySpan:
    """The span of one inspection."""

    def __init__(self, span: Span, clock: Clock) -> None:
        self._span = span
        self._clock = clock
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, trace.set_span_in_context(span))
        self.traceparent = carrier.get("traceparent")

    def answered(self, inspection: Inspection) -> None:
        """End it, with what was found."""
        self._span.set_attributes(
            {
                "flawline.inspection_id": inspection.inspection_id,
                "flawline.line": inspection.line,
                "flawline.recipe": inspection.recipe.name,
                "flawline.verdict": inspection.verdict.value,
                "flawline.detections": len(inspection.detections),
            }
        )
        if inspection.verdict is Verdict.UNDEFINED:
            codes = ", ".join(reason.code for reason in inspection.reasons)
            self._span.set_status(Status(StatusCode.ERROR, codes))
        self._span.end(_now_ns(self._clock))

    def ended(self, because: str) -> None:
        """End it without an answer."""
        self._span.set_attribute("flawline.ended_because", because)
        self._span.set_status(Status(StatusCode.ERROR, because))
        self._span.end(_now_ns(self._clock))


def _now_ns(clock: Clock) -> int:
    """Nanoseconds since 1970, as OpenTelemetry counts."""
    return int(clock.utc_now().timestamp() * 1e9)


def _why_failed(outcome: Failed | PictureRefused) -> str:
    return outcome.code if isinstance(outcome, PictureRefused) else f"error id {outcome.error_id}"
