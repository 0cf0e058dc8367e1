"""A camera's stream that breaks, waits, and is refused: one answer a frame all the same."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import grpc
import pytest
from lost_proxies import set_lost_proxies
from pictures import expected_score, numbered, truncated
from redis_process import free_port
from rig import Rig

from flawline.adapters.grpc_api import GrpcServer, StreamLimits
from flawline.adapters.memory_feed import MemoryFeed
from flawline.adapters.system_clock import SystemClock
from flawline.client import Frame, Inspection, NotLetInError, RefusedError, Verdict
from flawline.client.camera import AsyncCamera, Camera
from flawline.client.channel import Way
from flawline.client.grpc import AsyncGrpcClient
from flawline.client.stream import _Connection
from flawline.core.lock import Lock
from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

WINDOW = 4
SOON_S = 20
TOKEN = "0123456789abcdef-token"


def frame(number: int) -> Frame:
    return Frame(numbered(number), part_id=str(number))


def check(number: int, answer: Inspection) -> None:
    """It must be the answer to that frame."""
    assert answer.part_id == str(number)
    assert answer.verdict is Verdict.NOT_OK, answer.reasons
    assert answer.detections[0].score == pytest.approx(expected_score(number), abs=2e-4)


@asynccontextmanager
async def served(
    rig: Rig, port: int = 0, token: str | None = None, connection_age_s: float = 0.0
) -> AsyncIterator[GrpcServer]:
    server = GrpcServer(
        rig.inspector,
        MemoryFeed(10),
        SystemClock(),
        max_message_bytes=1 << 20,
        default_deadline_ms=1000,
        lock=Lock(token),
        connection_age_s=connection_age_s,
        connection_grace_s=connection_age_s,
        streams=StreamLimits(window=WINDOW, max_picture_bytes=1 << 19),
    )
    await server.start("127.0.0.1", port)
    yield server
    await server.stop(0)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(4000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to that")


async def test_more_frames_than_the_window_each_get_their_answer() -> None:
    async with Rig() as rig, served(rig) as server:
        async with AsyncCamera(f"127.0.0.1:{server.port}", deadline_s=SOON_S) as camera:
            answers = [await camera.send(frame(number)) for number in range(40)]
            for number, answer in enumerate(answers):
                check(number, await answer)
        figures = camera.figures
    assert (figures.sent, figures.answered, figures.undefined) == (40, 40, 0)
    assert (figures.resent, figures.maybe_inspected_twice, figures.connections) == (0, 0, 1)
    assert sum(rig.engine.sizes) == 40


async def test_what_has_been_answered_is_acknowledged() -> None:
    async with Rig() as rig, served(rig) as server:
        camera = AsyncCamera(f"127.0.0.1:{server.port}", deadline_s=SOON_S)
        for number in range(10):
            check(number, await camera.inspect(frame(number)))
        await camera.aclose()
        await until(lambda: not rig.answers._kept)


async def test_a_camera_asks_no_proxy_of_the_environment_for_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_lost_proxies(monkeypatch)
    async with (
        Rig() as rig,
        served(rig) as server,
        AsyncCamera(f"127.0.0.1:{server.port}", deadline_s=5.0) as camera,
    ):
        check(1, await camera.inspect(frame(1)))


async def test_a_camera_may_have_a_long_deadline_but_not_none() -> None:
    async with Rig() as rig, served(rig) as server:
        target = f"127.0.0.1:{server.port}"
        async with AsyncCamera(target, deadline_s=120.0) as camera:
            check(1, await camera.inspect(frame(1)))
        with pytest.raises(ValueError, match="deadline_s must be"):
            AsyncCamera(target, deadline_s=float("inf"))


async def test_a_camera_may_be_closed_twice() -> None:
    def close_twice(target: str) -> Inspection:
        with Camera(target, deadline_s=SOON_S) as camera:
            answer = camera.inspect(frame(1))
            camera.close()
        return answer

    async with Rig() as rig, served(rig) as server:
        target = f"127.0.0.1:{server.port}"
        check(1, await asyncio.to_thread(close_twice, target))
        async with AsyncCamera(target, deadline_s=SOON_S) as camera:
            check(2, await camera.inspect(frame(2)))
            await camera.aclose()


async def test_a_closed_camera_answers_what_it_was_given_and_takes_no_more() -> None:
    async with Rig() as rig, served(rig) as server:
        rig.engine.hold()
        camera = AsyncCamera(f"127.0.0.1:{server.port}", deadline_s=SOON_S, most_unanswered=1)
        answers = [asyncio.create_task(camera.inspect(frame(number))) for number in range(4)]
        await until(lambda: len(rig.intake_seen) == 1)
        closing = asyncio.create_task(camera.aclose())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="This client is closed"):
            await camera.send(frame(5))
        rig.engine.release()
        await asyncio.wait_for(closing, SOON_S)
        for number, answer in enumerate(answers):
            check(number, await asyncio.wait_for(answer, SOON_S))
    assert camera.figures.sent == camera.figures.answered == 4


async def test_closing_a_camera_leaves_no_thread_waiting() -> None:
    """It answers what other threads handed over before, and refuses what they would after."""
    answered: list[Inspection] = []

    def film(camera: Camera) -> None:
        while True:
            answered.append(camera.inspect(frame(1)))

    async with Rig() as rig, served(rig) as server:
        camera = Camera(f"127.0.0.1:{server.port}", deadline_s=SOON_S)
        filming = [asyncio.create_task(asyncio.to_thread(film, camera)) for _ in range(3)]
        await until(lambda: len(answered) > 3)
        await asyncio.to_thread(camera.close)
        for films in filming:
            with pytest.raises(RuntimeError, match="This client is closed"):
                await asyncio.wait_for(films, SOON_S)
    assert camera.figures.sent == len(answered)


def test_closing_that_is_broken_off_ends_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before all frames have their answers."""
    camera = Camera(f"127.0.0.1:{free_port()}", deadline_s=60.0)
    answer = camera.send(frame(1))

    async def broken_off() -> None:
        raise ConnectionError

    monkeypatch.setattr(camera._camera, "aclose", broken_off)
    with pytest.raises(ConnectionError):
        camera.close()
    with pytest.raises(RuntimeError, match="This client is closed"):
        answer.result(SOON_S)


async def test_a_camera_is_not_used_on_its_own_thread() -> None:
    said: list[str] = []

    def film(target: str) -> None:
        done = threading.Event()
        camera = Camera(target, deadline_s=SOON_S)

        def call_back(_: object) -> None:
            for use in (lambda: camera.inspect(frame(2)), camera.close):
                with pytest.raises(RuntimeError) as caught:
                    use()
                said.append(str(caught.value))
            done.set()

        camera.send(frame(1)).add_done_callback(call_back)
        done.wait(SOON_S)
        camera.close()

    async with Rig() as rig, served(rig) as server:
        await asyncio.to_thread(film, f"127.0.0.1:{server.port}")
    assert len(said) == 2
    assert all(
        "it would wait for itself. Hand the answer to another thread" in text for text in said
    )


@pytest.mark.parametrize("most", [0, -1])
def test_a_camera_that_may_hold_no_frame_is_refused(most: int) -> None:
    with pytest.raises(ValueError, match="most_unanswered must be a number of frames, at least 1"):
        AsyncCamera("127.0.0.1:1", most_unanswered=most)


async def test_after_a_broken_connection_nothing_is_inspected_twice() -> None:
    """The server is stopped with frames in its engine; behind the next one is the same memory."""
    async with Rig(max_batch=1) as rig:
        rig.engine.hold()
        async with AsyncExitStack() as closing:
            async with served(rig) as first:
                port = first.port
                camera = AsyncCamera(f"127.0.0.1:{port}", deadline_s=SOON_S)
                closing.push_async_callback(camera.aclose)
                answers = [await camera.send(frame(number)) for number in range(8)]
                await until(lambda: len(rig.intake_seen) == WINDOW)
            rig.engine.release()
            async with served(rig, port):
                for number, answer in enumerate(answers):
                    check(number, await asyncio.wait_for(answer, SOON_S))
                await camera.aclose()
    assert sum(rig.engine.sizes) == 8
    assert camera.figures.resent == WINDOW
    assert camera.figures.maybe_inspected_twice == 0
    assert camera.figures.connections == 2


async def test_connections_that_end_of_their_age_cost_no_frame_its_answer() -> None:
    async with Rig() as rig, served(rig, connection_age_s=0.2) as server:
        target = f"127.0.0.1:{server.port}"
        async with (
            AsyncCamera(target, deadline_s=SOON_S) as camera,
            AsyncGrpcClient(target, deadline_s=SOON_S) as client,
        ):
            for number in range(1, 1000):
                answer = await camera.send(frame(number % 100))
                check(number % 100, await client.inspect(frame(number % 100)))
                check(number % 100, await answer)
                if camera.figures.connections > 2:
                    break
    assert camera.figures.connections > 2
    assert camera.figures.maybe_inspected_twice == 0


async def test_after_a_restart_what_may_have_been_inspected_twice_is_counted() -> None:
    async with Rig(max_batch=1) as old, Rig() as new:
        old.engine.hold()
        async with served(old) as first:
            port = first.port
            camera = AsyncCamera(f"127.0.0.1:{port}", deadline_s=SOON_S)
            answers = [await camera.send(frame(number)) for number in range(6)]
            await until(lambda: len(old.intake_seen) == WINDOW)
        async with served(new, port):
            for number, answer in enumerate(answers):
                check(number, await asyncio.wait_for(answer, SOON_S))
            await camera.aclose()
    figures = camera.figures
    assert (figures.sent, figures.answered, figures.undefined) == (6, 6, 0)
    assert figures.resent == figures.maybe_inspected_twice == WINDOW


async def test_who_had_the_service_goes_on_trying_while_something_else_answers() -> None:
    """A proxy that is set up anew may answer anything; nobody starts a camera, or a screen, again then."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        strangers.append(writer)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    strangers: list[asyncio.StreamWriter] = []
    async with Rig() as old, Rig() as new, AsyncExitStack() as ways:
        async with served(old) as first:
            port = first.port
            target = f"127.0.0.1:{port}"
            camera = await ways.enter_async_context(AsyncCamera(target, deadline_s=2.0))
            check(1, await camera.inspect(frame(1)))
            client = await ways.enter_async_context(AsyncGrpcClient(target))
            news = await ways.enter_async_context(client.watch(reconnect=True))
            later = asyncio.ensure_future(anext(news))
            await asyncio.sleep(0)
        async with await asyncio.start_server(answer, "127.0.0.1", port):
            assert (await camera.inspect(frame(2))).verdict is Verdict.UNDEFINED
            await until(lambda: len(strangers) > 5)
        async with served(new, port):
            await until(lambda: camera.figures.connections == 2)
            check(3, await camera.inspect(frame(3)))
            assert not later.done()
        later.cancel()


async def test_a_service_that_is_away_is_undefined_by_the_deadline() -> None:
    async with AsyncCamera(f"127.0.0.1:{free_port()}", deadline_s=0.5) as camera:
        answers = [await camera.send(frame(number)) for number in range(3)]
        inspections = [await asyncio.wait_for(answer, SOON_S) for answer in answers]
    assert [inspection.verdict for inspection in inspections] == [Verdict.UNDEFINED] * 3
    (reason,) = inspections[-1].reasons
    assert reason.code == "unavailable"
    assert "failed to connect" in reason.detail.lower()
    assert (camera.figures.answered, camera.figures.undefined) == (3, 3)


async def test_frames_that_expire_unsent_do_not_spoil_the_stream() -> None:
    """Their numbers are left out; what comes after them is answered."""
    async with Rig() as rig, served(rig) as server:
        rig.engine.hold()
        camera = AsyncCamera(f"127.0.0.1:{server.port}", deadline_s=1.0)
        answers = [await camera.send(frame(number)) for number in range(WINDOW * 3)]
        for answer in answers:
            assert (await asyncio.wait_for(answer, SOON_S)).verdict is Verdict.UNDEFINED
        rig.engine.release()
        rig.clock.advance(5.0)
        await until(lambda: camera.figures.late == WINDOW)
        check(77, await camera.inspect(frame(77)))
        await camera.aclose()
    assert camera.figures.connections == 1


async def test_the_frames_held_here_are_bounded() -> None:
    async with Rig() as rig, served(rig) as server:
        rig.engine.hold()
        camera = AsyncCamera(f"127.0.0.1:{server.port}", deadline_s=SOON_S, most_unanswered=2)
        answers = [await camera.send(frame(number)) for number in range(2)]
        third = asyncio.create_task(camera.send(frame(2)))
        await asyncio.wait({third}, timeout=0.2)
        assert not third.done()
        rig.engine.release()
        for number, answer in enumerate([*answers, await third]):
            check(number, await answer)
        await camera.aclose()
    async with AsyncCamera(f"127.0.0.1:{free_port()}", deadline_s=0.3, most_unanswered=1) as away:
        waiting = [asyncio.create_task(away.inspect(frame(number))) for number in range(3)]
        reasons = [(await answer).reasons[0].code for answer in waiting]
    assert "too_many_unanswered" in reasons
    assert set(reasons) <= {"too_many_unanswered", "deadline", "unavailable"}


async def test_a_frame_given_up_before_there_was_room_is_not_counted() -> None:
    async with AsyncCamera(f"127.0.0.1:{free_port()}", deadline_s=0.5, most_unanswered=1) as camera:
        await camera.send(frame(1))
        waiting = asyncio.create_task(camera.send(frame(2)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert (camera.figures.sent, camera.figures.answered) == (1, 1)


async def test_a_frame_given_up_before_it_was_sent_holds_no_room_and_nobody_up() -> None:
    async with AsyncCamera(
        f"127.0.0.1:{free_port()}", deadline_s=3600, most_unanswered=1
    ) as camera:
        for number in range(3):
            (await asyncio.wait_for(camera.send(frame(number)), SOON_S)).cancel()
    assert (camera.figures.sent, camera.figures.answered) == (0, 0)


async def test_a_frame_given_up_while_the_connection_was_gone_is_not_waited_for() -> None:
    async with Rig() as rig:
        async with served(rig) as server:
            camera = AsyncCamera(f"127.0.0.1:{server.port}", deadline_s=3600)
            check(1, await camera.inspect(frame(1)))
        answer = await camera.send(frame(2))
        answer.cancel()
        async with served(rig, server.port):
            check(3, await camera.inspect(frame(3)))
            await asyncio.wait_for(camera.aclose(), SOON_S)
    assert (camera.figures.sent, camera.figures.answered) == (2, 2)


async def test_a_bad_frame_is_refused_and_the_others_are_answered() -> None:
    async with Rig() as rig, served(rig) as server:
        async with AsyncCamera(f"127.0.0.1:{server.port}", deadline_s=SOON_S) as camera:
            good = await camera.send(frame(1))
            bad = await camera.send(Frame(truncated()))
            odd = await camera.send(Frame(numbered(2), priority="soon"))
            huge = await camera.send(Frame(bytes(2 << 20)))
            unsendable = [
                await camera.send(Frame(numbered(4), **text))
                for text in ({"part_id": "m\udcfcller"}, {"part_id": 4}, {"traceparent": "\udcfc"})
            ]
            last = await camera.send(frame(3))
            check(1, await good)
            with pytest.raises(RefusedError) as caught:
                await bad
            assert (caught.value.code, caught.value.field) == ("corrupt_picture", "picture")
            with pytest.raises(RefusedError, match="priority"):
                await odd
            with pytest.raises(RefusedError, match="2097152 bytes"):
                await huge
            for answer in unsendable:
                with pytest.raises(RefusedError, match="cannot be sent"):
                    await answer
            check(3, await last)
        assert (camera.figures.answered, camera.figures.refused) == (2, 6)
        assert camera.figures.connections == 1


async def test_a_camera_without_the_token_is_told_so_at_once() -> None:
    async with Rig() as rig, served(rig, token=TOKEN) as server:
        camera = AsyncCamera(f"127.0.0.1:{server.port}", deadline_s=SOON_S)
        with pytest.raises(NotLetInError):
            await camera.inspect(frame(1))
        with pytest.raises(NotLetInError):
            await camera.send(frame(2))
        await camera.aclose()
        async with AsyncCamera(f"127.0.0.1:{server.port}", token=TOKEN) as allowed:
            check(3, await allowed.inspect(frame(3)))


@pytest.mark.parametrize("port_of", ["nobody", "refused"])
async def test_a_closed_camera_leaves_nothing_that_goes_on_connecting(
    monkeypatch: pytest.MonkeyPatch, port_of: str
) -> None:
    """gRPC's channel tries on as long as a call holds it, and a cycle may do so for long."""
    channels = []
    make = Way.channel
    monkeypatch.setattr(Way, "channel", lambda way: (channels.append(make(way)), channels[-1])[1])
    async with Rig() as rig, served(rig, token=TOKEN) as server:
        gc.collect()
        gc.disable()
        try:
            port = server.port if port_of == "refused" else free_port()
            camera = AsyncCamera(f"127.0.0.1:{port}", deadline_s=0.3)
            with suppress(NotLetInError):
                await camera.inspect(frame(1))
            await camera.aclose()
            held = weakref.ref(channels[0])
            channels.clear()
            del camera
            await asyncio.sleep(0)
            assert held() is None
        finally:
            gc.enable()


class Gateway(pb_grpc.InspectionServiceServicer):
    """Refuses the first stream with details that are none, and answers each frame of the others."""

    streams = 0

    async def InspectStream(self, requests: object, context: grpc.aio.ServicerContext) -> None:  # noqa: N802
        self.streams += 1
        if self.streams == 1:
            details = (("grpc-status-details-bin", b"\xff\xff"),)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gateway", details)
        await context.read()
        opened = pb.StreamOpened(window=4)
        await context.write(pb.InspectStreamResponse(opened=opened))
        while (message := await context.read()) is not grpc.aio.EOF:
            if message.WhichOneof("message") == "frame":
                inspection = pb.Inspection(verdict=pb.VERDICT_OK)
                answer = pb.StreamAnswer(sequence=message.frame.sequence, inspection=inspection)
                await context.write(pb.InspectStreamResponse(answer=answer))


@asynccontextmanager
async def gateway() -> AsyncIterator[str]:
    server = grpc.aio.server()
    pb_grpc.add_InspectionServiceServicer_to_server(Gateway(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


async def test_an_error_of_a_gateway_that_cannot_be_read_is_one_as_any_other() -> None:
    async with gateway() as target, AsyncCamera(target, deadline_s=SOON_S) as camera:
        assert (await camera.inspect(frame(1))).verdict is Verdict.OK


async def test_whatever_a_stream_breaks_of_it_is_opened_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = []
    read = _Connection._open

    async def open_(self: _Connection, *arguments: object) -> None:
        if not broken:
            broken.append(True)
            raise ZeroDivisionError
        await read(self, *arguments)

    monkeypatch.setattr(_Connection, "_open", open_)
    async with Rig() as rig, served(rig) as server:
        camera = AsyncCamera(f"127.0.0.1:{server.port}", deadline_s=SOON_S)
        check(1, await camera.inspect(frame(1)))
        await camera.aclose()
    assert "ZeroDivisionError" in caplog.text


def test_a_stream_id_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ValueError, match="stream_id must be text"):
        AsyncCamera("127.0.0.1:1", stream_id="cam\udcff")


async def test_a_camera_in_ordinary_code() -> None:
    def film(target: str) -> list[Inspection]:
        with Camera(target, deadline_s=SOON_S) as camera:
            answers = [camera.send(frame(number)) for number in range(10)]
            return [answer.result(SOON_S) for answer in answers]

    async with Rig() as rig, served(rig) as server:
        answers = await asyncio.to_thread(film, f"127.0.0.1:{server.port}")
    for number, answer in enumerate(answers):
        check(number, answer)
