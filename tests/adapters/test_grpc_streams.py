"""InspectStream and WatchInspections over a real channel, before a real Inspector."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from fakes import settle
from pictures import expected_score, numbered, truncated
from rig import Rig

from flawline.adapters.grpc_api import GrpcServer, StreamLimits
from flawline.adapters.memory_feed import MemoryFeed
from flawline.application.idempotency import AnswerKey
from flawline.application.traces import NoSpan
from flawline.core.lock import Lock
from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

WINDOW = 4
IDLE_S = 300.0
SOON_S = 20


class Bench:
    """A server of its own, with a window of WINDOW frames and room for two streams."""

    def __init__(self, rig: Rig, server: GrpcServer, channel: grpc.aio.Channel) -> None:
        self.rig = rig
        self.server = server
        self.channel = channel
        self.stub = pb_grpc.InspectionServiceStub(channel)

    async def open(self, stream_id: str = "", **options: object) -> Stream:
        stream = Stream(self.stub.InspectStream())
        await stream.say(opening=pb.StreamOpening(stream_id=stream_id, **options))
        stream.opened = (await stream.hear()).opened
        return stream


class Stream:
    def __init__(self, call: grpc.aio.StreamStreamCall) -> None:
        self.call = call
        self.opened = pb.StreamOpened()

    async def say(self, **message: object) -> None:
        await asyncio.wait_for(self.call.write(pb.InspectStreamRequest(**message)), SOON_S)

    async def send(self, sequence: int, picture: bytes | None = None, **fields: object) -> None:
        """Frame n shows picture n, unless another is given, and says so in its part id."""
        request = pb.InspectRequest(
            picture=numbered(sequence) if picture is None else picture,
            part_id=f"part-{sequence}",
            **{"deadline_ms": 30_000, **fields},
        )
        await self.say(frame=pb.StreamFrame(sequence=sequence, request=request))

    async def hear(self) -> pb.InspectStreamResponse:
        message = await asyncio.wait_for(self.call.read(), SOON_S)
        assert message is not grpc.aio.EOF, await self.call.code()
        return message

    async def answer(self) -> pb.StreamAnswer:
        """The next answer, which must be about the picture that was sent under its number."""
        answer = (await self.hear()).answer
        if answer.HasField("inspection"):
            assert answer.inspection.part_id == f"part-{answer.sequence}"
            score = answer.inspection.detections[0].score
            assert score == pytest.approx(expected_score(answer.sequence), abs=2e-4)
        return answer

    async def end(self) -> grpc.StatusCode:
        """How the call ends, with no more answers, once the client has closed its side."""
        await self.call.done_writing()
        assert await asyncio.wait_for(self.call.read(), SOON_S) is grpc.aio.EOF
        return await self.call.code()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    feed = MemoryFeed(most=3)
    async with Rig(max_batch=1, publish=feed.publish) as rig:
        server = GrpcServer(
            rig.inspector,
            feed,
            rig.clock,
            max_message_bytes=1 << 20,
            default_deadline_ms=1000,
            lock=Lock(None),
            streams=StreamLimits(most=2, window=WINDOW, idle_s=IDLE_S),
        )
        port = await server.start("127.0.0.1", 0)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Bench(rig, server, channel)
        await server.stop(0)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to that")


async def ending(call: grpc.aio.StreamStreamCall) -> tuple[grpc.StatusCode, str]:
    """How the server ends a call; answers that come before are read."""
    while True:
        try:
            if await asyncio.wait_for(call.read(), SOON_S) is grpc.aio.EOF:
                break
        except grpc.aio.AioRpcError:
            break
    return await call.code(), await call.details()


async def test_each_frame_is_answered_once_with_its_number(bench: Bench) -> None:
    stream = await bench.open("camera-1")
    assert stream.opened.window == WINDOW
    answers = []
    for number in range(1, 21):
        await stream.send(number)
        if number > WINDOW:
            answers.append(await stream.answer())
    while len(answers) < 20:
        answers.append(await stream.answer())
    assert sorted(answer.sequence for answer in answers) == list(range(1, 21))
    assert await stream.end() == grpc.StatusCode.OK
    assert sum(bench.rig.engine.sizes) == 20


async def test_a_half_closed_stream_gets_the_rest_of_its_answers(bench: Bench) -> None:
    bench.rig.engine.hold()
    stream = await bench.open()
    for number in (3, 7):
        await stream.send(number)
    await stream.call.done_writing()
    await bench.rig.engine.started.get()
    bench.rig.engine.release()
    assert {(await stream.answer()).sequence, (await stream.answer()).sequence} == {3, 7}
    assert await stream.call.read() is grpc.aio.EOF
    assert await stream.call.code() == grpc.StatusCode.OK


@pytest.mark.parametrize("in_order", [True, False])
async def test_answers_come_in_order_by_a_flag(bench: Bench, in_order: bool) -> None:
    """The first frame is held up by its engine, the second is refused at once."""
    bench.rig.engine.hold()
    stream = await bench.open("camera-1", in_order=in_order)
    await stream.send(1)
    await bench.rig.engine.started.get()
    await stream.send(2, b"not a picture")
    first = asyncio.create_task(stream.answer())
    if in_order:
        await settle()
        assert not first.done()
        bench.rig.engine.release()
    assert (await first).sequence == (1 if in_order else 2)
    bench.rig.engine.release()
    assert (await stream.answer()).sequence == (2 if in_order else 1)


async def test_a_bad_frame_is_its_own_answer_and_harms_no_other(bench: Bench) -> None:
    stream = await bench.open("camera-1", in_order=True)
    await stream.send(1)
    await stream.send(2, truncated())
    await stream.send(3, recipe="nosuch")
    await stream.send(4, line="pä/..")
    answers = [await stream.answer() for _ in range(4)]
    await stream.send(5)
    answers.append(await stream.answer())
    assert [answer.WhichOneof("outcome") for answer in answers] == [
        *("inspection", "problem", "problem", "problem", "inspection")
    ]
    problems = [answer.problem for answer in answers[1:4]]
    assert [problem.code for problem in problems] == [
        *("corrupt_picture", "unknown_recipe", "invalid_request")
    ]
    assert sorted(bench.rig.telemetry.rejections) == sorted(problem.code for problem in problems)
    assert [problem.field for problem in problems] == ["picture", "", "line"]
    assert all(problem.detail for problem in problems)
    assert {problem.verdict for problem in problems} == {pb.VERDICT_UNSPECIFIED}


async def test_a_frame_without_a_verdict_in_time_is_undefined(bench: Bench) -> None:
    bench.rig.engine.hold()
    stream = await bench.open("camera-1")
    await stream.send(1, deadline_ms=100)
    await bench.rig.engine.started.get()
    bench.rig.clock.advance(0.2)
    late = (await stream.hear()).answer.inspection
    assert (late.verdict, late.reasons[0].code) == (pb.VERDICT_UNDEFINED, "deadline")
    bench.rig.engine.release()
    await stream.send(2)
    assert (await stream.answer()).sequence == 2


async def test_no_more_frames_are_read_than_the_window_holds(bench: Bench) -> None:
    bench.rig.engine.hold()
    stream = await bench.open()
    for number in range(1, 11):
        await stream.send(number)
    await bench.rig.engine.started.get()
    await settle()
    assert len(bench.rig.intake_seen) <= WINDOW
    bench.rig.engine.release()
    sequences = [(await stream.answer()).sequence for _ in range(10)]
    assert sorted(sequences) == list(range(1, 11))


async def test_a_full_queue_slows_a_stream_down_and_refuses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced: list[NoSpan] = []
    begin = bench.rig.traces.begin
    monkeypatch.setattr(
        bench.rig.traces, "begin", lambda sent: traced.append(begin(sent)) or traced[-1]
    )
    bench.rig.queue.refuse_next(3)
    stream = await bench.open()
    await stream.send(1)
    for _ in range(20):
        await settle()
        bench.rig.clock.advance(1.0)
    assert (await stream.answer()).inspection.verdict == pb.VERDICT_NOT_OK
    assert bench.rig.telemetry.rejections == []
    assert len(traced) == 1


async def test_a_queue_that_stays_full_is_undefined_by_the_deadline(bench: Bench) -> None:
    bench.rig.queue.refuse_next(1000)
    stream = await bench.open()
    await stream.send(1, deadline_ms=500)
    answer = asyncio.create_task(stream.hear())
    while not answer.done():
        await asyncio.sleep(0)
        bench.rig.clock.advance(0.01)
    problem = (await answer).answer.problem
    assert (problem.code, problem.verdict) == ("queue_full", pb.VERDICT_UNDEFINED)
    assert bench.rig.telemetry.rejections == ["queue_full"]  # once, however often it was tried


async def test_frames_sent_again_are_not_inspected_twice(bench: Bench) -> None:
    """The connection breaks with one frame answered but unacknowledged, and one still in the engine."""
    first = await bench.open("camera-1")
    await first.send(1)
    before = await first.answer()
    bench.rig.engine.hold()
    await first.send(2)
    await until(lambda: len(bench.rig.engine.batches) == 2)
    first.call.cancel()
    again = await bench.open("camera-1", acknowledged=0)
    assert again.opened.memory_id == first.opened.memory_id
    await again.send(1)
    await again.send(2)
    await again.send(3)
    assert (await again.answer()).inspection == before.inspection
    bench.rig.engine.release()
    assert {(await again.answer()).sequence, (await again.answer()).sequence} == {2, 3}
    assert sum(bench.rig.engine.sizes) == 3


async def test_another_picture_under_a_number_is_refused(bench: Bench) -> None:
    first = await bench.open("camera-1")
    await first.send(1)
    await first.answer()
    other = await bench.open("camera-1")
    await other.send(1, numbered(99))
    assert (await other.answer()).problem.code == "idempotency_key_reused"


async def test_what_was_acknowledged_is_kept_no_longer(bench: Bench) -> None:
    stream = await bench.open("camera-1", in_order=True)
    for number in (1, 2, 3):
        await stream.send(number)
        await stream.answer()
    await stream.say(acknowledgement=pb.StreamAcknowledgement(sequence=2))
    assert await stream.end() == grpc.StatusCode.OK
    keys = [AnswerKey("", "default", f"camera-1/{number}") for number in (1, 2, 3)]
    kept = [await bench.rig.answers.find(key.text) for key in keys]
    assert [answer is not None for answer in kept] == [False, False, True]


async def test_a_client_that_goes_takes_its_waiting_frames_along(bench: Bench) -> None:
    """Of a stream without an id nobody will ask for the answers: the queue must be empty again."""
    bench.rig.engine.hold()
    stream = await bench.open()
    await stream.send(1)
    await bench.rig.engine.started.get()
    for number in (2, 3, 4):
        await stream.send(number)
    await until(lambda: len(bench.rig.intake_seen) == 4)
    assert bench.rig.queue.depth
    stream.call.cancel()
    await until(lambda: not bench.rig.queue.depth)
    bench.rig.engine.release()
    await settle()
    assert sum(bench.rig.engine.sizes) < 4


async def test_a_cancelled_call_takes_its_picture_out_of_the_queue(bench: Bench) -> None:
    bench.rig.engine.hold()
    requests = [pb.InspectRequest(picture=numbered(n), deadline_ms=30_000) for n in range(6)]
    calls = [bench.stub.Inspect(requests[0])]
    running = [asyncio.ensure_future(calls[0].code())]
    await bench.rig.engine.started.get()
    calls += [bench.stub.Inspect(request) for request in requests[1:]]
    running += [asyncio.ensure_future(call.code()) for call in calls[1:]]
    await until(lambda: len(bench.rig.intake_seen) == 6)
    assert bench.rig.queue.depth
    for call in calls[1:]:
        call.cancel()
    await until(lambda: not bench.rig.queue.depth)
    bench.rig.engine.release()
    assert await asyncio.wait_for(running[0], SOON_S) == grpc.StatusCode.OK
    assert {await code for code in running[1:]} == {grpc.StatusCode.CANCELLED}
    assert sum(bench.rig.engine.sizes) < 6


async def test_a_client_that_reads_nothing_holds_a_window_and_others_are_served(
    bench: Bench,
) -> None:
    slow = await bench.open("slow")
    writing = asyncio.create_task(_send_many(slow, 500))
    quick = await bench.open("quick")
    for number in range(1, 31):
        await quick.send(number)
        assert (await quick.answer()).sequence == number
    slow.call.cancel()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def _send_many(stream: Stream, count: int) -> None:
    for number in range(1, count):
        await stream.send(number)


WRONG = [
    pytest.param({"frame": pb.StreamFrame(sequence=1)}, "opening", id="no opening"),
    pytest.param({}, "opening", id="empty message"),
    pytest.param({"opening": pb.StreamOpening(stream_id="a/b")}, "stream_id", id="odd stream id"),
]


@pytest.mark.parametrize(("message", "named"), WRONG)
async def test_a_stream_that_begins_wrongly_is_told_so(
    bench: Bench, message: dict, named: str
) -> None:
    call = bench.stub.InspectStream()
    await call.write(pb.InspectStreamRequest(**message))
    code, details = await ending(call)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert named in details


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"frame": pb.StreamFrame(sequence=5)}, "sequence"),
        ({"frame": pb.StreamFrame(sequence=4)}, "sequence"),
        ({"opening": pb.StreamOpening()}, "opened once"),
        ({}, "frame or an acknowledgement"),
        ({"acknowledgement": pb.StreamAcknowledgement(sequence=6)}, "acknowledged"),
    ],
)
async def test_messages_out_of_order_end_the_stream_after_what_was_taken(
    bench: Bench, message: dict, named: str
) -> None:
    bench.rig.engine.hold()
    stream = await bench.open("camera-1", acknowledged=3)
    await stream.send(5)
    await bench.rig.engine.started.get()
    await stream.say(**message)
    bench.rig.engine.release()
    assert (await stream.answer()).sequence == 5
    code, details = await ending(stream.call)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert named in details


async def test_a_stream_that_ends_before_it_begins_is_no_error(bench: Bench) -> None:
    call = bench.stub.InspectStream()
    await call.done_writing()
    assert (await ending(call))[0] == grpc.StatusCode.OK


async def test_silent_streams_are_ended(bench: Bench) -> None:
    unopened = bench.stub.InspectStream()
    await unopened.wait_for_connection()
    stream = await bench.open()
    await until(lambda: bench.rig.clock.open_timers == 2)
    bench.rig.clock.advance(IDLE_S + 1)
    for call in (unopened, stream.call):
        code, details = await ending(call)
        assert code == grpc.StatusCode.DEADLINE_EXCEEDED
        assert "Nothing was sent" in details


async def test_more_streams_than_allowed_are_refused_and_leave_room_when_they_end(
    bench: Bench,
) -> None:
    streams = [await bench.open(), await bench.open()]
    refused = bench.stub.InspectStream()
    assert (await ending(refused))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    watch = bench.stub.WatchInspections(pb.WatchInspectionsRequest())
    assert (await ending(watch))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert bench.rig.telemetry.rejections == ["too_many_streams"] * 2
    assert await streams[0].end() == grpc.StatusCode.OK
    another = await bench.open()
    await another.send(1)
    assert (await another.answer()).sequence == 1


async def test_a_drain_answers_what_was_accepted_and_sends_the_client_elsewhere(
    bench: Bench,
) -> None:
    bench.rig.engine.hold()
    stream = await bench.open("camera-1")
    await stream.send(1)
    await bench.rig.engine.started.get()
    draining = asyncio.create_task(bench.rig.inspector.drain(30))
    await settle()
    await stream.send(2)
    bench.rig.engine.release()
    assert (await stream.answer()).sequence == 1
    code, details = await ending(stream.call)
    assert code == grpc.StatusCode.UNAVAILABLE
    assert "open the call again" in details
    assert await draining
    assert sum(bench.rig.engine.sizes) == 1


async def test_trace_context_of_a_frame_goes_before_that_of_its_call(bench: Bench) -> None:
    of_call, of_frame = (f"00-{digit * 32}-{digit * 16}-01" for digit in "ab")
    call = bench.stub.InspectStream(metadata=(("traceparent", of_call), ("idempotency-key", "k")))
    stream = Stream(call)
    await stream.say(opening=pb.StreamOpening(in_order=True))
    await stream.hear()
    await stream.send(1)
    request = pb.InspectRequest(picture=numbered(2), part_id="part-2", deadline_ms=30_000)
    frame = pb.StreamFrame(sequence=2, request=request, traceparent=of_frame)
    await stream.say(frame=frame)
    assert [(await stream.answer()).sequence for _ in range(2)] == [1, 2]
    assert [job.traceparent for job in bench.rig.intake_seen] == [of_call, of_frame]


async def test_watchers_hear_of_their_lines_alone(bench: Bench) -> None:
    watch = bench.stub.WatchInspections(pb.WatchInspectionsRequest(lines=["press-2"]))
    await watch.initial_metadata()
    for number, line in enumerate(["press-1", "press-2", "press-1", "press-2"]):
        await bench.rig.inspect(numbered(number), line=line, part_id=str(number))
    news = [await asyncio.wait_for(watch.read(), SOON_S) for _ in range(2)]
    assert [(n.inspection.part_id, n.inspection.line, n.missed) for n in news] == [
        ("1", "press-2", 0),
        ("3", "press-2", 0),
    ]
    watch.cancel()


async def test_a_watcher_of_an_odd_line_is_refused(bench: Bench) -> None:
    watch = bench.stub.WatchInspections(pb.WatchInspectionsRequest(lines=["press 2"]))
    assert (await ending(watch))[0] == grpc.StatusCode.INVALID_ARGUMENT


async def test_watchers_do_not_hold_up_a_stop(bench: Bench) -> None:
    watch = bench.stub.WatchInspections(pb.WatchInspectionsRequest())
    await watch.initial_metadata()
    await asyncio.wait_for(bench.server.stop(30), SOON_S)
    assert (await ending(watch))[0] == grpc.StatusCode.UNAVAILABLE


async def test_a_failing_feed_costs_no_answer() -> None:
    def fail(_: object) -> None:
        raise RuntimeError("the feed is broken")

    async with Rig(publish=fail) as rig:
        assert (await rig.inspect(numbered(1))).detections


async def test_a_message_that_cannot_be_read_ends_the_stream_after_the_answers(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    raw = bench.channel.stream_stream(
        "/flawline.v1.InspectionService/InspectStream",
        request_serializer=lambda message: getattr(message, "SerializeToString", lambda: message)(),
        response_deserializer=pb.InspectStreamResponse.FromString,
    )
    stream = Stream(raw())
    await stream.say(opening=pb.StreamOpening())
    assert (await stream.hear()).HasField("opened")
    await stream.send(1)
    await stream.call.write(b"\xff\xff\xff")
    assert (await stream.answer()).sequence == 1
    code, said = await ending(stream.call)
    assert (code, "cannot be read" in said) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert caplog.records == []
