"""What every Traces does, whether it records or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from fakes import ManualClock
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pictures import numbered
from rig import Rig

from flawline.adapters.opentelemetry_traces import OpenTelemetryTraces
from flawline.application.job import Expired, Failed, Job, JobOutcome, Lease, PictureRefused
from flawline.application.ports import Traces
from flawline.application.traces import NoTraces, StageSpan

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
JOB = Job("a", b"", "default", None, 1000.0, 1001.0, "line", traceparent=CALLER)


def recording() -> Traces:
    sender = SimpleSpanProcessor(InMemorySpanExporter())
    return OpenTelemetryTraces(sender, ManualClock(), service="s", version="1", ratio=1.0)


@pytest.fixture(params=[NoTraces, recording])
async def traces(request: pytest.FixtureRequest) -> AsyncIterator[Traces]:
    traces: Traces = request.param()
    yield traces
    await traces.close()


async def test_what_travels_on_is_in_the_callers_trace(traces: Traces) -> None:
    span = traces.begin(CALLER)
    assert span.traceparent is not None
    assert span.traceparent.split("-")[1] == TRACE_ID
    span.ended("queue_full")


async def test_it_needs_no_trace_of_the_caller(traces: Traces) -> None:
    traces.begin(None).ended("cancelled")


@pytest.mark.parametrize("outcome", [Expired(), Failed("e"), PictureRefused("corrupt", "it is")])
@pytest.mark.parametrize("spans", [(), (StageSpan("queue", 1000.0, 1000.0),)])
@pytest.mark.parametrize("traceparent", [CALLER, None, "nonsense"])
async def test_whatever_a_worker_did_can_be_told(
    traces: Traces, outcome: JobOutcome, spans: tuple[StageSpan, ...], traceparent: str | None
) -> None:
    lease = Lease(replace(JOB, traceparent=traceparent), "1", deliveries=2)
    traces.worked(lease, outcome, spans)


async def test_inspections_are_the_same_with_each(traces: Traces) -> None:
    async with Rig(traces=traces) as rig:
        inspection = await rig.inspect(numbered(7), traceparent=CALLER)
    assert inspection.detections


async def test_after_closing_nothing_breaks(traces: Traces) -> None:
    await traces.close()
    traces.begin(CALLER).ended("cancelled")
    traces.worked(Lease(JOB, "1"), Expired(), (StageSpan("queue", 1000.0, 1000.0),))
