"""REST and gRPC, for asyncio and for ordinary code: one behaviour."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from certificates import make_certificate, needs_openssl
from lost_proxies import set_lost_proxies
from redis_process import free_port
from scripted_inspector import NOT_OK, OK, TOO_LATE
from scripted_service import TOKEN, Ask, ScriptedService

from flawline.application.request import InspectionRequest
from flawline.client import (
    AwayError,
    Box,
    Detection,
    Frame,
    FrameInfo,
    ModelRef,
    NotLetInError,
    Reason,
    RecipeRef,
    RefusedError,
    Verdict,
)
from flawline.client.camera import AsyncCamera
from flawline.client.channel import Way
from flawline.client.grpc import AsyncGrpcClient, GrpcClient
from flawline.client.handshake import refuse_handshake
from flawline.client.rest import AsyncRestClient, RestClient
from flawline.core.errors import BadPicture, InvalidRequest, NotReady, QueueFull, UnknownRecipe
from flawline.core.values import Inspection

FRAME = Frame(b"jpeg", line="press-2", part_id="SN-1")


def one_after_another(*outcomes: Inspection | Exception) -> Callable:
    """An Inspector that answers so; the last answer is given again and again."""
    left: Iterator[Inspection | Exception] = iter(outcomes)
    last = outcomes[-1]

    async def answer(_: InspectionRequest) -> Inspection:
        outcome = next(left, last)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return answer


async def test_answers_are_typed_and_the_same_by_every_way(ask: Ask) -> None:
    answer = await ask(FRAME)
    assert answer.verdict is Verdict.NOT_OK
    assert answer.inspection_id == NOT_OK.inspection_id
    assert answer.reasons == (Reason("defect", "scratches with score 0.875."),)
    assert answer.detections == (
        Detection("scratches", 0.875, Box(1.5, 2.0, 30.25, 40.0)),
        Detection("patches", 0.5, Box(0.0, 0.0, 10.0, 12.0)),
    )
    assert answer.frame == FrameInfo(200, 100, "cd" * 32)
    assert (answer.line, answer.part_id) == ("press-2", "SN-1")
    assert answer.recipe == RecipeRef("default", "1")
    assert answer.model == ModelRef("tiny", "1.2.3", "ab" * 32)
    assert abs((answer.created_at - NOT_OK.created_at).total_seconds()) < 0.001
    assert answer.processing_times_ms.total == pytest.approx(15.0, abs=0.001)


async def test_all_of_a_frame_reaches_the_inspector(ask: Ask, service: ScriptedService) -> None:
    service.inspector.outcome = OK
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    frame = Frame(b"\x00\xff", "press-1", "SN-9", "default", 0.25, "backfill", traceparent)
    answer = await ask(frame, idempotency_key="mine", deadline_s=5.0)
    assert answer.verdict is Verdict.OK
    assert answer.part_id is None
    (request,) = service.inspector.requests
    assert request.picture == b"\x00\xff"
    assert (request.line, request.part_id, request.recipe) == ("press-1", "SN-9", "default")
    assert (request.min_score, request.priority) == (0.25, "backfill")
    assert (request.traceparent, request.idempotency_key) == (traceparent, "mine")
    assert 1000 < request.deadline_ms < 5000


async def test_busy_is_tried_again_under_one_key_and_not_before_it_is_told(
    ask: Ask, service: ScriptedService
) -> None:
    moments = []
    answer = one_after_another(QueueFull(1.0), NotReady("starting", 1.0), NOT_OK)

    async def timed(request: InspectionRequest) -> Inspection:
        moments.append(time.monotonic())
        return await answer(request)

    service.inspector.outcome = timed
    assert (await ask(FRAME)).verdict is Verdict.NOT_OK
    assert (await ask(FRAME)).verdict is Verdict.NOT_OK
    keys = [request.idempotency_key for request in service.inspector.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert all(keys)
    assert min(moments[1] - moments[0], moments[2] - moments[1]) >= 1.0


async def test_a_long_deadline_is_the_clients_own_and_no_more_is_asked_than_a_service_allows(
    ask: Ask, service: ScriptedService
) -> None:
    service.inspector.outcome = one_after_another(QueueFull(0.1), NOT_OK)
    assert (await ask(FRAME, deadline_s=120.0)).verdict is Verdict.NOT_OK
    assert [request.deadline_ms for request in service.inspector.requests] == [60_000, 60_000]


@pytest.mark.parametrize("deadline_s", [float("inf"), float("nan"), 0.0, -1.0, 1e12])
async def test_a_deadline_that_is_none_is_refused(
    service: ScriptedService, make_client: Callable[..., Ask], deadline_s: float
) -> None:
    with pytest.raises(ValueError, match="deadline_s must be a number of seconds above 0"):
        await make_client(service)(FRAME, deadline_s=deadline_s)
    with pytest.raises(ValueError, match="deadline_s must be"):
        make_client(service, deadline_s=deadline_s)
    assert service.inspector.requests == []


async def test_a_wait_beyond_the_deadline_is_not_begun(ask: Ask, service: ScriptedService) -> None:
    service.inspector.outcome = QueueFull(30.0)
    began_s = time.monotonic()
    answer = await ask(FRAME, deadline_s=15.0)
    assert time.monotonic() - began_s < 15.0
    assert answer.verdict is Verdict.UNDEFINED
    assert answer.reasons[0].code == "queue_full"
    assert (answer.line, answer.part_id, answer.inspection_id) == ("press-2", "SN-1", "")
    assert len(service.inspector.requests) == 1


async def test_a_service_that_says_nothing_costs_the_deadline_and_no_more(
    ask: Ask, service: ScriptedService
) -> None:
    async def never(_: InspectionRequest) -> Inspection:
        await asyncio.sleep(60)
        return NOT_OK

    service.inspector.outcome = never
    began_s = time.monotonic()
    answer = await ask(FRAME, deadline_s=0.5)
    assert time.monotonic() - began_s < 10
    assert answer.verdict is Verdict.UNDEFINED


async def test_what_went_wrong_before_the_last_try_is_told(
    ask: Ask, service: ScriptedService
) -> None:
    async def busy_then_silent(_: InspectionRequest) -> Inspection:
        if len(service.inspector.requests) == 1:
            raise QueueFull(0.1)
        await asyncio.sleep(60)
        return NOT_OK

    service.inspector.outcome = busy_then_silent
    (reason,) = (await ask(FRAME, deadline_s=1.5)).reasons
    assert "No verdict within 1.5 s. The try before: The queue is full" in reason.detail, reason


async def test_a_service_that_is_away_is_undefined_by_the_deadline(
    make_client: Callable[..., Ask],
) -> None:
    port = free_port()
    nowhere = SimpleNamespace(url=f"http://127.0.0.1:{port}", target=f"127.0.0.1:{port}")
    answer = await make_client(nowhere, deadline_s=1.0)(FRAME)
    assert answer.verdict is Verdict.UNDEFINED
    assert answer.reasons[0].code in {"unreachable", "unavailable", "deadline"}
    assert f"127.0.0.1:{port}" in answer.reasons[0].detail


async def test_a_way_on_which_connecting_takes_long_leads_there_all_the_same(
    service: ScriptedService,
) -> None:
    """Behind a VPN or a busy gateway, say."""
    host, _, port = service.target.rpartition(":")
    forwarding = set()

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError), closing(sink):
            while some := await source.read(65536):
                sink.write(some)
                await sink.drain()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        forwarding.add(asyncio.current_task())
        await asyncio.sleep(1.5)
        there, back = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, back), pump(there, writer))

    async with await asyncio.start_server(forward, "127.0.0.1", 0) as slow:
        target = f"127.0.0.1:{slow.sockets[0].getsockname()[1]}"
        async with AsyncGrpcClient(target, token=TOKEN, deadline_s=20.0) as client:
            assert (await client.inspect(FRAME)).verdict is Verdict.NOT_OK
        await asyncio.wait_for(asyncio.gather(*forwarding), 20)


async def test_undefined_of_the_service_is_not_asked_again(
    ask: Ask, service: ScriptedService
) -> None:
    service.inspector.outcome = TOO_LATE
    answer = await ask(FRAME)
    assert answer.verdict is Verdict.UNDEFINED
    assert answer.reasons[0].code == "deadline"
    assert answer.inspection_id == TOO_LATE.inspection_id
    assert len(service.inspector.requests) == 1


@pytest.mark.parametrize(
    ("error", "code", "field"),
    [
        (BadPicture("corrupt_picture", "Cut short."), "corrupt_picture", None),
        (InvalidRequest("line", "line is odd."), "invalid_request", "line"),
        (UnknownRecipe("x", ["default"]), "unknown_recipe", None),
    ],
)
async def test_what_cannot_be_used_is_refused_at_once(
    ask: Ask, service: ScriptedService, error: Exception, code: str, field: str | None
) -> None:
    service.inspector.outcome = error
    with pytest.raises(RefusedError) as caught:
        await ask(FRAME)
    assert (caught.value.code, str(caught.value)) == (code, str(error))
    if field is not None:
        assert caught.value.field == field
    assert len(service.inspector.requests) == 1


async def test_a_refusal_is_held_by_nothing(ask: Ask, service: ScriptedService) -> None:
    """Without Python's search for rings: it has the picture."""
    service.inspector.outcome = UnknownRecipe("wire", ("default",))
    gc.disable()
    try:
        with pytest.raises(RefusedError) as caught:
            await ask(FRAME)
        held = weakref.ref(caught.value)
        del caught
        for _ in range(500):
            if held() is not None:  # the thread of a blocking client may not be through yet
                await asyncio.sleep(0.01)
        assert held() is None
    finally:
        gc.enable()


async def test_a_priority_that_there_is_not_is_refused(ask: Ask, service: ScriptedService) -> None:
    service.inspector.outcome = InvalidRequest("priority", "priority must be one of inline.")
    with pytest.raises(RefusedError, match="priority must be one of"):
        await ask(Frame(b"jpeg", priority="soon"))


@pytest.mark.parametrize("token", [None, "another-token-of-somebody"])
async def test_without_the_token_nobody_is_let_in(
    service: ScriptedService, make_client: Callable[..., Ask], token: str | None
) -> None:
    with pytest.raises(NotLetInError):
        await make_client(service, token=token)(FRAME)
    assert service.inspector.requests == []


async def test_watching_by_line(service: ScriptedService) -> None:
    async with (
        AsyncGrpcClient(service.target, token=TOKEN) as client,
        client.watch("press-2") as watched,
    ):
        service.feed.publish(NOT_OK)
        news = await asyncio.wait_for(anext(watched), 20)
    assert news.missed == 0
    assert news.inspection.inspection_id == NOT_OK.inspection_id
    assert news.inspection.verdict is Verdict.NOT_OK


async def test_watching_in_ordinary_code(service: ScriptedService) -> None:
    def first_two() -> list[str]:
        with GrpcClient(service.target, token=TOKEN) as client, client.watch() as watched:
            loop.call_soon_threadsafe(service.feed.publish, NOT_OK)
            loop.call_soon_threadsafe(service.feed.publish, OK)
            return [next(watched).inspection.verdict.value for _ in range(2)]

    loop = asyncio.get_running_loop()
    assert await asyncio.to_thread(first_two) == ["NotOK", "OK"]


async def test_watching_ends_with_the_connection_unless_told_otherwise(
    service: ScriptedService,
) -> None:
    async with AsyncGrpcClient(service.target, token=TOKEN) as client:
        async with client.watch() as watched:
            await service.restart_grpc()
            with pytest.raises(AwayError):
                await asyncio.wait_for(anext(watched), 20)
        async with client.watch("press-2", reconnect=True) as watched:
            service.feed.publish(NOT_OK)
            news = await asyncio.wait_for(anext(watched), 20)
            assert (news.missed, news.gaps) == (0, 0)
            await service.restart_grpc()
            hearing = asyncio.ensure_future(anext(watched))
            while not hearing.done():  # once it hears again
                service.feed.publish(NOT_OK)
                await asyncio.wait({hearing}, timeout=0.02)
            assert hearing.result().inspection.inspection_id == NOT_OK.inspection_id
            assert hearing.result().gaps >= 1


async def test_watching_waits_for_a_service_that_is_not_there_yet(
    service: ScriptedService,
) -> None:
    port = int(service.target.rpartition(":")[2])
    await service.stop_grpc()

    def first() -> str:
        with GrpcClient(service.target, token=TOKEN) as client:
            asyncio.run_coroutine_threadsafe(service.start_grpc(port), loop)
            with client.watch(reconnect=True) as watched:
                loop.call_soon_threadsafe(service.feed.publish, OK)
                return next(watched).inspection.verdict.value

    loop = asyncio.get_running_loop()
    assert await asyncio.to_thread(first) == "OK"


async def test_watching_again_is_refused_as_before(service: ScriptedService) -> None:
    async with AsyncGrpcClient(service.target) as client:
        with pytest.raises(NotLetInError):
            async with client.watch(reconnect=True):
                pass


async def test_watching_what_cannot_be_watched(service: ScriptedService) -> None:
    async with AsyncGrpcClient(service.target, token=TOKEN) as client:
        with pytest.raises(RefusedError, match="line must be"):
            async with client.watch("press 2"):
                pass
    async with AsyncGrpcClient(f"127.0.0.1:{free_port()}") as client:
        with pytest.raises(AwayError):
            async with client.watch():
                pass
    async with AsyncGrpcClient(service.target) as client:
        with pytest.raises(NotLetInError):
            async with client.watch():
                pass


async def test_a_token_may_end_its_line(
    service: ScriptedService, make_client: Callable[..., Ask]
) -> None:
    assert (await make_client(service, token=f" {TOKEN}\r\n")(FRAME)).verdict is Verdict.NOT_OK


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("line", "", "line is empty"),
        ("recipe", "", "recipe is empty"),
        ("part_id", 4711, "part_id must be text, not int"),
        ("line", b"mill-1", "line must be text, not bytes"),
        ("min_score", True, "min_score must be a number, not bool"),
        ("min_score", "0.5", "min_score must be a number, not str"),
    ],
)
async def test_what_the_protocols_would_take_for_different_things_is_refused_by_every_way(
    ask: Ask, service: ScriptedService, field: str, value: Any, why: str
) -> None:
    with pytest.raises(RefusedError, match=f"cannot be sent: {why}") as caught:
        await ask(Frame(b"jpeg", **{field: value}))
    assert (caught.value.code, caught.value.field) == ("invalid_request", field)
    assert not service.inspector.requests


@pytest.mark.parametrize("score", [Decimal("0.25"), Fraction(1, 4), np.float32(0.25)])
async def test_any_number_is_a_score_by_every_way(
    ask: Ask, service: ScriptedService, score: Any
) -> None:
    await ask(Frame(b"jpeg", min_score=score))
    assert service.inspector.requests[0].min_score == 0.25


@pytest.mark.parametrize("token", ["geheim\ngeheim", "geheim geheim", "geheimü", " \n"])
def test_a_token_that_is_none_is_refused_and_not_shown(
    make_client: Callable[..., Ask], token: str
) -> None:
    nowhere = SimpleNamespace(url="http://127.0.0.1:1", target="127.0.0.1:1")
    with pytest.raises(ValueError, match="The token is none") as caught:
        make_client(nowhere, token=token)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(("kind", "where"), [(RestClient, "url"), (GrpcClient, "target")])
async def test_a_client_may_be_closed_twice_and_says_so_when_asked_afterwards(
    service: ScriptedService, kind: type, where: str
) -> None:
    def close_twice() -> str:
        with kind(getattr(service, where), token=TOKEN) as client:
            verdict = client.inspect(FRAME).verdict.value
            client.close()
        with pytest.raises(RuntimeError, match="This client is closed; make a new one"):
            client.inspect(FRAME)
        return verdict

    assert await asyncio.to_thread(close_twice) == "NotOK"


@pytest.mark.parametrize(("kind", "where"), [(AsyncRestClient, "url"), (AsyncGrpcClient, "target")])
async def test_a_client_for_asyncio_may_be_closed_twice(
    service: ScriptedService, kind: type, where: str
) -> None:
    async with kind(getattr(service, where), token=TOKEN) as client:
        assert (await client.inspect(FRAME)).verdict is Verdict.NOT_OK
        await client.aclose()


async def never(_: InspectionRequest) -> Inspection:
    await asyncio.sleep(60)
    return NOT_OK


async def seen(service: ScriptedService, many: int) -> None:
    for _ in range(4000):
        if len(service.inspector.requests) >= many:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it was not asked")


CLOSED = "This client is closed; make a new one"


@pytest.mark.parametrize(("kind", "where"), [(RestClient, "url"), (GrpcClient, "target")])
async def test_closing_a_client_ends_what_other_threads_ask(
    service: ScriptedService, kind: type, where: str
) -> None:
    service.inspector.outcome = never
    client = kind(getattr(service, where), token=TOKEN, deadline_s=50.0)
    asking = [asyncio.create_task(asyncio.to_thread(client.inspect, FRAME)) for _ in range(3)]
    await seen(service, 3)
    await asyncio.gather(*(asyncio.to_thread(client.close) for _ in range(2)))
    for asked in asking:
        with pytest.raises(RuntimeError, match=CLOSED):
            await asyncio.wait_for(asked, 10)


FORKED = """
import os, sys
from flawline.client import Frame
from flawline.client.rest import RestClient
client = RestClient("http://127.0.0.1:1")
child = os.fork()
if not child:
    try:
        with client:
            client.inspect(Frame(b"jpeg"))
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
client.close()
"""


def test_a_client_in_a_forked_process_says_that_it_is_of_another() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED]  # Python may warn of forking itself
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "made in another process" in done.stdout
    assert "make one in each process" in done.stdout


@pytest.mark.parametrize("reconnect", [False, True])
async def test_closing_a_client_ends_watching_in_another_thread(
    service: ScriptedService, reconnect: bool
) -> None:
    heard = asyncio.Event()
    client = GrpcClient(service.target, token=TOKEN)
    loop = asyncio.get_running_loop()

    def listen() -> None:
        with client.watch(reconnect=reconnect) as watched:
            loop.call_soon_threadsafe(service.feed.publish, OK)
            for _ in watched:
                loop.call_soon_threadsafe(heard.set)

    listening = asyncio.create_task(asyncio.to_thread(listen))
    await heard.wait()
    await asyncio.to_thread(client.close)
    with pytest.raises(RuntimeError, match=CLOSED):
        await asyncio.wait_for(listening, 10)


@pytest.mark.parametrize(("kind", "where"), [(AsyncRestClient, "url"), (AsyncGrpcClient, "target")])
async def test_closing_a_client_for_asyncio_cancels_no_task_of_others(
    service: ScriptedService, kind: type, where: str
) -> None:
    service.inspector.outcome = never
    client = kind(getattr(service, where), token=TOKEN, deadline_s=50.0)
    asking = [asyncio.create_task(client.inspect(FRAME)) for _ in range(3)]
    await seen(service, 3)
    asking[0].cancel()
    await client.aclose()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert [str(outcome) for outcome in outcomes[1:]] == [f"{CLOSED}."] * 2
    with pytest.raises(RuntimeError, match=CLOSED):
        await client.inspect(FRAME)


async def test_closing_a_client_for_asyncio_ends_its_watching(service: ScriptedService) -> None:
    client = AsyncGrpcClient(service.target, token=TOKEN)
    async with client.watch() as watched:
        hearing = asyncio.ensure_future(anext(watched))
        await asyncio.sleep(0)
        await client.aclose()
        with pytest.raises(RuntimeError, match=CLOSED):
            await hearing
    with pytest.raises(RuntimeError, match=CLOSED):
        async with client.watch():
            pass


@pytest.mark.parametrize(
    "url",
    [
        *("127.0.0.1:8080", "localhost:8080", "grpc://host", "http://", ""),
        *("http://host:http", "http://host:99999", "http://[::1"),
    ],
)
def test_a_url_that_names_no_service_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must begin with http:// or https://"):
        RestClient(url)


@pytest.mark.parametrize(
    "url", ["http://me:secret@localhost:8080", "https://secret@host", "http://:secret@[::1]"]
)
@pytest.mark.parametrize("kind", [AsyncRestClient, RestClient])
def test_a_url_with_a_password_is_refused_as_it_would_take_the_place_of_the_token(
    kind: type, url: str
) -> None:
    with pytest.raises(ValueError, match="Leave what stands before the @ out") as caught:
        kind(url, token=TOKEN)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("target", ["http://localhost:8081", "grpc://localhost:8081", ""])
def test_a_url_is_no_target_of_grpc(target: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        GrpcClient(target)


@pytest.mark.parametrize(
    "url",
    [
        "http://host:8080?line=a",
        "http://host/#a",
        "http://ho st",
        "http://h\u200b",
        "http://host/\0",
        "http://hö st",
    ],
)
def test_a_url_that_would_be_taken_for_another_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^The url "):
        RestClient(url)


@pytest.mark.parametrize("target", ["localhost:", "localhost:0", "localhost:65536", "\n"])
def test_a_target_of_grpc_without_a_port_that_there_is_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        GrpcClient(target)


def test_a_line_of_a_file_is_an_address_too() -> None:
    assert (
        str(AsyncRestClient(" http://localhost:8080\n")._http.base_url) == "http://localhost:8080"
    )
    assert Way(" localhost:8081\n").target == "localhost:8081"


def test_certificates_for_what_is_not_encrypted_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of no use with a url that begins with http://"):
        RestClient("http://localhost:8080", token=TOKEN, ca_file=tmp_path / "ca.pem")


@pytest.mark.parametrize("kind", [AsyncCamera, GrpcClient, RestClient])
@pytest.mark.parametrize("content", [None, b"hello"])
def test_certificates_that_are_none_are_refused_at_once(
    tmp_path: Path, kind: type, content: bytes | None
) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_bytes(content)
    where = "https://127.0.0.1:1" if kind is RestClient else "127.0.0.1:1"
    with pytest.raises(ValueError, match=r"The ca_file .*ca\.pem cannot be used: .* in PEM form"):
        kind(where, ca_file=ca_file)


@needs_openssl
@pytest.mark.parametrize(
    ("scheme", "there", "names", "told"),
    [
        ("https", "url", "IP:127.0.0.1", r"not trusted \(self"),
        ("grpc", "target", "IP:127.0.0.1", r"not trusted \(self"),
        ("https", "url", "DNS:elsewhere", "names the host"),
        ("grpc", "target", "DNS:elsewhere", "names the host"),
        ("https", "url", None, "speaks no TLS"),
        ("https", "target", None, "speaks no TLS"),
        ("http", "target", None, "speaks no HTTP"),
        ("grpc", "target", None, "speaks no TLS"),
        ("grpc", "url", "IP:127.0.0.1", "speaks TLS, but no gRPC"),
    ],
)
async def test_what_will_never_be_a_connection_is_told_at_once(
    tmp_path: Path, scheme: str, there: str, names: str | None, told: str
) -> None:
    shown = make_certificate(tmp_path, names=names or "DNS:localhost")
    ca_file = (make_certificate(tmp_path, "other") if "self" in told else shown).cert_path
    async with ScriptedService(certificate=shown if names else None) as service:
        at = getattr(service, there).removeprefix("http://")
        if scheme == "grpc":
            kinds, trust = (AsyncGrpcClient, AsyncCamera), {"ca_file": ca_file}
        else:
            kinds, trust = (AsyncRestClient,), {"ca_file": ca_file} if scheme == "https" else {}
            at = f"{scheme}://{at}"
        for kind in kinds:
            async with kind(at, deadline_s=60, **trust) as client:
                with pytest.raises(RefusedError, match=told) as caught:
                    await asyncio.wait_for(client.inspect(FRAME), 30)
            assert caught.value.code == "not_the_service"


@needs_openssl
@pytest.mark.parametrize(("kind", "there"), [(AsyncRestClient, "url"), (AsyncGrpcClient, "target")])
async def test_who_does_not_encrypt_is_told_why_nobody_may_answer(
    tmp_path: Path, kind: type[AsyncRestClient | AsyncGrpcClient], there: str
) -> None:
    shown = make_certificate(tmp_path, names="IP:127.0.0.1")
    async with ScriptedService(certificate=shown) as service:
        at = getattr(service, there).replace("https://", "http://")
        async with kind(at, deadline_s=1.0) as client:
            answer = await client.inspect(FRAME)
    assert answer.verdict is Verdict.UNDEFINED
    assert "one side may speak TLS" in answer.reasons[0].detail


def test_a_damaged_answer_is_none_of_another_protocol() -> None:
    """It is tried again."""
    refuse_handshake(httpx.RemoteProtocolError("illegal chunk header: bytearray(b'zz')"))
    with pytest.raises(RefusedError, match="speaks no HTTP"):
        refuse_handshake(httpx.RemoteProtocolError("illegal status line: bytearray(b'SSH-2.0')"))


@pytest.mark.parametrize("key", ["SN-1\n", "k" * 20_000])
async def test_a_key_that_cannot_be_sent_is_refused(
    ask: Ask, service: ScriptedService, key: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        await ask(FRAME, idempotency_key=key)
    assert caught.value.field == "idempotency_key"
    assert TOKEN not in str(caught.value)
    assert service.inspector.requests == []


@pytest.mark.parametrize(
    "frame",
    [
        Frame(b"1", traceparent="00-\n"),
        Frame(b"1", traceparent="\xfc"),
        Frame(b"1", part_id="m\udcfcller"),  # of a file name in Latin-1
    ],
)
async def test_a_frame_that_cannot_be_sent_is_refused(
    ask: Ask, service: ScriptedService, frame: Frame
) -> None:
    with pytest.raises(RefusedError) as caught:
        await ask(frame)
    assert TOKEN not in str(caught.value)
    assert service.inspector.requests == []


@pytest.mark.parametrize(
    "picture", [bytearray(b"jpeg"), memoryview(b"jpeg"), np.frombuffer(b"jpeg", np.uint8)]
)
async def test_whatever_has_bytes_in_a_row_is_a_picture(
    ask: Ask, service: ScriptedService, picture: object
) -> None:
    assert (await ask(Frame(picture))).verdict is Verdict.NOT_OK
    assert service.inspector.requests[0].picture == b"jpeg"


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        *((None, "NoneType"), ("jpeg", "str"), ([1, 2], "list"), (Path("jpeg"), "PosixPath")),
        (np.zeros((2, 3), np.uint8), r"ndarray of shape \(2, 3\)"),
        (np.zeros(2), r"ndarray of shape \(2,\)"),
    ],
)
async def test_what_is_no_bytes_is_no_picture(
    ask: Ask, service: ScriptedService, picture: object, kind: str
) -> None:
    said = f"must be the bytes of its file, JPEG, PNG, BMP or TIFF, not {kind}. Read the file"
    with pytest.raises(RefusedError, match=said) as caught:
        await ask(Frame(picture))
    assert caught.value.field == "picture"
    async with AsyncCamera(service.target) as camera:
        with pytest.raises(RefusedError, match=said):
            await camera.send(Frame(picture))
    assert service.inspector.requests == []


async def test_a_picture_that_is_far_too_large_is_refused_at_once(ask: Ask) -> None:
    """gRPC refuses it before the service sees it, in words of its own."""
    with pytest.raises(RefusedError) as caught:
        await ask(Frame(bytes(50_000)), deadline_s=60.0)
    assert caught.value.code == "too_many_bytes"


async def test_proxies_of_the_environment_are_not_asked_for_the_way(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_lost_proxies(monkeypatch)
    assert (await ask(FRAME, deadline_s=5.0)).verdict is Verdict.NOT_OK


@pytest.mark.parametrize("kind", [AsyncRestClient, AsyncGrpcClient, AsyncCamera])
def test_a_client_for_asyncio_says_that_it_is_of_another_event_loop(kind: type) -> None:
    where = f"127.0.0.1:{free_port()}"
    url = f"http://{where}" if kind is AsyncRestClient else where
    client = kind(url, deadline_s=0.3)
    assert asyncio.run(client.inspect(FRAME)).verdict is Verdict.UNDEFINED
    for use in (lambda: client.inspect(FRAME), client.aclose):
        with pytest.raises(RuntimeError, match=r"within one asyncio\.run, or make a new one"):
            asyncio.run(use())


@pytest.mark.parametrize("kind", [AsyncRestClient, AsyncGrpcClient, AsyncCamera])
def test_a_client_that_is_closed_may_be_closed_on_any_event_loop(kind: type) -> None:
    async def close(client: Any) -> None:
        async with client:
            pass

    client = kind("http://127.0.0.1:1" if kind is AsyncRestClient else "127.0.0.1:1")
    asyncio.run(close(client))
    asyncio.run(close(client))
