"""What the spans say, with OpenTelemetry's own SDK; the way to a collector is tried in tests/e2e."""

from __future__ import annotations

import pytest
from fakes import ManualClock, settle
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pictures import DARK, numbered, quarters, truncated
from redis_process import free_port
from rig import Rig

from flawline.adapters.opentelemetry_traces import OpenTelemetryTraces, ToldOnce
from flawline.core.errors import BadPicture, UnknownRecipe

AWAY, THERE = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
EPOCH_S = 1_767_225_600  # of the manual clock: 2026-01-01
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Recorded:
    """A Rig whose spans are kept."""

    def __init__(self, ratio: float = 1.0) -> None:
        self.exporter = InMemorySpanExporter()
        clock = ManualClock()
        sender = SimpleSpanProcessor(self.exporter)
        traces = OpenTelemetryTraces(sender, clock, service="api", version="1.2", ratio=ratio)
        self.rig = Rig(clock=clock, traces=traces)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]


async def test_stages_stand_at_the_times_they_took() -> None:
    recorded = Recorded()
    async with recorded.rig as rig:
        rig.engine.hold()
        first = rig.ask(quarters(DARK))
        await rig.engine.started.get()
        second = rig.ask(numbered(1), traceparent=CALLER, part_id="p")
        await settle()
        rig.clock.jump(0.25)
        rig.engine.release()
        await first
        inspection = await second
    spans = [span for span in recorded.exporter.get_finished_spans() if span.parent is not None]
    of_second = [s for s in spans if s.context.trace_id == int(CALLER.split("-")[1], 16)]
    (waited,) = (s for s in of_second if s.name == "queue" and s.end_time != s.start_time)
    assert (waited.end_time - waited.start_time) / 1e6 == pytest.approx(250)
    assert waited.start_time / 1e9 == pytest.approx(EPOCH_S)
    (root,) = (s for s in recorded.spans("inspection") if s.parent is not None)
    assert root.attributes["flawline.inspection_id"] == inspection.inspection_id
    assert root.resource.attributes["service.name"] == "api"
    assert root.end_time / 1e9 == pytest.approx(EPOCH_S + 0.25)
    assert root.status.status_code is StatusCode.UNSET


async def test_what_failed_is_marked_where_it_did() -> None:
    recorded = Recorded()
    async with recorded.rig as rig:
        rig.engine.fails_on = lambda image: int(image.max()) > 0
        await rig.inspect(numbered(1))
        with pytest.raises(BadPicture):
            await rig.inspect(truncated())
    (inference,), (bad, good) = recorded.spans("inference"), recorded.spans("decode")[::-1]
    assert inference.status.status_code is StatusCode.ERROR
    assert "secret" not in inference.status.description
    assert (bad.status.description, good.status.status_code) == (
        "corrupt_picture",
        StatusCode.UNSET,
    )
    undefined, refused = recorded.spans("inspection")
    assert undefined.status.description == "processing_failed"
    assert refused.attributes["flawline.ended_because"] == "corrupt_picture"


async def test_what_was_refused_cancelled_or_late_says_so() -> None:
    recorded = Recorded()
    async with recorded.rig as rig:
        with pytest.raises(UnknownRecipe):
            await rig.inspect(numbered(1), recipe="none")
        rig.engine.hold()
        late, withdrawn = rig.ask(numbered(1), deadline_ms=100), rig.ask(numbered(2))
        await settle()
        withdrawn.cancel()
        await settle()
        rig.clock.advance(0.1)
        await late
    said = [span.status.description for span in recorded.spans("inspection")]
    assert said == ["unknown_recipe", "cancelled", "deadline"]


@pytest.mark.parametrize(
    ("ratio", "traceparent", "count"),
    [
        (0.0, None, 0),
        (0.0, CALLER, 1),
        (1.0, None, 1),
        (1.0, f"{CALLER[:-2]}00", 0),
    ],
)
async def test_who_decides_whether_it_is_recorded(
    ratio: float, traceparent: str | None, count: int
) -> None:
    recorded = Recorded(ratio)
    async with recorded.rig as rig:
        await rig.inspect(numbered(1), traceparent=traceparent)
    assert len(recorded.spans("inspection")) == count
    assert len(recorded.spans("postprocess")) == count


async def test_a_collector_that_is_away_is_told_of_once_and_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = Recorded()
    async with recorded.rig as rig:
        await rig.inspect(quarters(DARK))
    spans = recorded.exporter.get_finished_spans()
    library = OTLPSpanExporter(f"http://127.0.0.1:{free_port()}", timeout=0.2)
    exporter = ToldOnce(library)
    assert [exporter.export(spans) for _ in range(3)] == [AWAY] * 3
    (told,) = caplog.messages
    assert told.startswith("traces_not_sent: Failed to export traces to 127.0.0.1:")
    with monkeypatch.context() as patch:
        patch.setattr(library, "export", lambda _: THERE)
        assert [exporter.export(spans) for _ in range(2)] == [THERE] * 2
    assert caplog.messages[1:] == ["traces_sent_again"]
    assert exporter.export(spans) is AWAY
    assert [message.partition(":")[0] for message in caplog.messages[2:]] == ["traces_not_sent"]
    exporter.shutdown()
