from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from certificates import make_certificate, needs_openssl
from click.testing import Result
from command_line import run
from lost_proxies import set_lost_proxies
from pictures import numbered, truncated
from PIL import Image
from redis_process import free_port
from server_process import ServerProcess, flawline_environment
from tiny_artifact import write_tiny_artifact

from flawline.cli.load.rpc import outcome_of
from flawline.client import Frame
from flawline.client.answers import undefined
from flawline.core.load import OutcomeKind

TOKEN = "0123456789abcdef-token"
SHORT = ("--duration", "0.5", "--warm-up", "0.1", "--deadline-ms", "20000", "--size", "64x64")

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def server(artifact: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(artifact, engine_threads="1", deadline_ms="20000")
    yield server
    server.terminate()
    assert server.exit_code() == 0, server.log


def bench(*arguments: str | Path, **settings: str) -> Result:
    """In this process, with these settings and no others."""
    with pytest.MonkeyPatch.context() as patching:
        for name in [name for name in os.environ if name.startswith("FLAWLINE_")]:
            patching.delenv(name)
        for name, value in settings.items():
            patching.setenv(f"FLAWLINE_{name.upper()}", value)
        return run("bench", *arguments)


def figures(*arguments: str | Path, exit_code: int = 0, **settings: str) -> dict[str, Any]:
    done = bench(*arguments, "--json", **settings)
    assert done.exit_code == exit_code, done.output
    said = json.loads(done.stdout)
    check_consistency(said)
    return said


def check_consistency(said: dict[str, Any]) -> None:
    frames, latency = said["frames"], said["latency_ms"]
    assert frames["sent"] == frames["answered"] + frames["refused"] + frames["errors"]
    verdicts, undefined = sum(said["verdicts"].values()), sum(said["undefined"].values())
    assert frames["answered"] == verdicts + undefined
    assert frames["refused"] == sum(said["refused"].values())
    assert frames["errors"] == sum(said["errors"].values())
    assert said["misses"] == frames["sent"] - verdicts + said["late"]
    if frames["answered"]:
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"]
    else:
        assert set(latency.values()) == {None}
    assert said["frames_per_s"] == pytest.approx(verdicts / said["seconds"], rel=0.01, abs=0.01)


@pytest.mark.parametrize("protocol", ["rest", "grpc", "grpc-stream"])
@pytest.mark.parametrize("load", [("--rate", "20"), ("--clients", "3")])
def test_every_protocol_in_both_loops(
    server: ServerProcess, protocol: str, load: tuple[str, str]
) -> None:
    url = server.url if protocol == "rest" else f"grpc://{server.grpc_target}"
    stream = ["--stream"] if protocol == "grpc-stream" else []
    said = figures(url, *load, *stream, *SHORT)
    assert said["protocol"] == protocol
    assert said["target"] == url
    assert said["frames"]["answered"] == said["frames"]["sent"] > 0
    assert set(said["verdicts"]) <= {"OK", "NotOK", "NotDecidable"}
    assert said["undefined"] == said["refused"] == said["errors"] == {}
    assert (said["loop"], said["interrupted"]) == (
        "open" if load[0] == "--rate" else "closed",
        False,
    )
    if load[0] == "--rate":
        assert said["frames"]["sent"] == 10
        assert said["callers"] == 1
    assert said["generator"]["cpu_share"] > 0


def test_commands_ask_no_proxy_of_the_environment_for_the_way(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_lost_proxies(monkeypatch)
    rpc = f"grpc://{server.grpc_target}"
    for where in ([server.url], [rpc], [rpc, "--stream"]):
        said = figures(*where, "--clients", "1", *SHORT)
        assert said["frames"]["answered"] == said["frames"]["sent"] > 0
    monkeypatch.setenv("FLAWLINE_PORT", str(server.rest_port))
    assert run("health").exit_code == 0
    assert run("models", "--url", server.url, "list").exit_code == 0


def test_cameras_share_the_cadence(server: ServerProcess) -> None:
    url = f"grpc://{server.grpc_target}"
    said = figures(url, "--stream", "--rate", "20", "--clients", "4", *SHORT)
    assert (said["callers"], said["frames"]["sent"]) == (4, 10)


def test_more_callers_than_a_process_usually_has_files(server: ServerProcess) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1024:
        pytest.skip(f"the hard limit of open files is {hard} here, 1024 are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        said = figures(server.url, "--clients", "400", *SHORT, "--warm-up", "0")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert said["frames"]["sent"] >= 400
    assert said["errors"] == {}


def test_for_people(server: ServerProcess, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(numbered(number))
    done = bench(server.url, tmp_path, "--clients", "2", *SHORT)
    assert done.exit_code == 0, done.output
    head, frames, throughput, latency, verdicts, missed, refused, errors, generator = (
        done.stdout.splitlines()
    )
    assert head == f"{server.url} (rest), closed loop of 2 callers, 3 pictures in {tmp_path}"
    assert " answered + 0 refused + 0 errors, in " in frames
    assert throughput.endswith("frames/s with a verdict")
    assert latency.split()[:2] == ["latency", "p50"]
    assert "NotOK" in verdicts
    assert missed.endswith(" 0 Undefined, 0 later than the deadline of 20000 ms")
    assert (refused.split(), errors.split()) == (["refused", "0"], ["errors", "0"])
    assert generator.endswith("% of one core")


def test_a_picture_that_cannot_be_used_is_an_error_with_its_reason(
    server: ServerProcess, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(numbered(1))
    (tmp_path / "b.png").write_bytes(truncated())
    for url in (server.url, f"grpc://{server.grpc_target}"):
        said = figures(url, tmp_path, "--rate", "20", *SHORT)
        assert said["frames"]["answered"] == 5
        assert said["errors"] == {"corrupt_picture": 5}


def test_refusals_and_deadlines_are_told_apart(artifact: Path) -> None:
    server = ServerProcess(artifact, engine="slow=0.3", queue_capacity="2", max_batch="1")
    targets = {"rest": server.url, "grpc": f"grpc://{server.grpc_target}"}
    targets["grpc-stream"] = targets["grpc"]
    try:
        for protocol, url in targets.items():
            stream = ["--stream"] if protocol == "grpc-stream" else []
            said = figures(url, "--clients", "24", *stream, *SHORT)
            assert said["refused"].keys() <= {"queue_full", "line_full"}, protocol
            # Frames of a stream wait for room instead.
            assert (said["frames"]["refused"] > 0) is not bool(stream), protocol
            late = figures(url, *stream, "--rate", "5", *SHORT, "--deadline-ms", "200")
            assert "deadline" in late["undefined"], protocol
            assert late["misses"] > 0
    finally:
        server.terminate()
        assert server.exit_code() == 0


def test_a_plot_has_a_dot_for_each_frame(server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "latency.png"
    figures(server.url, "--rate", "10", *SHORT, "--plot", file)
    with Image.open(file) as image:
        colours = {colour: count for count, colour in image.getcolors(100_000)}
    assert colours[(0x3B, 0x6E, 0xA5)] > 5  # five frames, some pixels each
    assert "ends in .png" in refused(server.url, "--plot", tmp_path / "latency.svg")
    assert "There is no folder" in refused(server.url, "--plot", tmp_path / "nowhere" / "a.png")


def test_objectives_decide_the_exit_code(server: ServerProcess) -> None:
    kept = figures(server.url, "--rate", "5", "--max-p99-ms", "30000", "--max-misses", "0", *SHORT)
    assert kept["unmet"] == []
    unmet = ["--max-p99-ms", "0.001"]
    said = figures(server.url, "--rate", "5", *unmet, *SHORT, exit_code=1)
    assert len(said["unmet"]) == 1
    done = bench(server.url, "--rate", "5", *unmet, *SHORT)
    assert done.exit_code == 1
    assert "the objective is at most 0.001 ms" in done.stderr


def test_ctrl_c_ends_it_with_the_figures_so_far(server: ServerProcess) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "flawline", "bench", server.url, "--rate", "20", "--json"),
            *("--duration", "600", "--warm-up", "0", "--size", "64x64", "--deadline-ms", "20000"),
        ],
        env=flawline_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    received = _until_inspected(server)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    said = json.loads(stdout)
    check_consistency(said)
    assert said["interrupted"]
    assert said["frames"]["sent"] >= 1
    assert received > 0


def test_ctrl_c_ends_a_stream_soon_whose_server_is_gone(artifact: Path) -> None:
    server = ServerProcess(artifact, engine_threads="1")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "flawline", "bench", f"grpc://{server.grpc_target}"),
            *("--stream", "--json", "--duration", "600", "--warm-up", "0", "--size", "64x64"),
            *("--deadline-ms", "60000"),
        ],
        env=flawline_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _until_inspected(server)
        server.kill()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    finally:
        server.kill()
        process.kill()
    assert process.returncode == 130, stderr
    check_consistency(json.loads(stdout))


def _until_inspected(server: ServerProcess) -> float:
    """Until the server has inspected some more frames than it had."""

    def inspected() -> float:
        lines = httpx.get(f"{server.url}/metrics").text.splitlines()
        counts = [x for x in lines if x.startswith("flawline_inspections_total{")]
        return sum(float(line.rpartition(" ")[2]) for line in counts)

    before = inspected()
    for _ in range(600):
        if (more := inspected() - before) >= 3:
            return more
        time.sleep(0.1)
    raise AssertionError("nothing was inspected within a minute")


def refused(*arguments: str | Path, **settings: str) -> str:
    done = bench(*arguments, **settings)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["127.0.0.1:8080"], "is no address of a Flawline"),
        (["ftp://127.0.0.1"], "is no address of a Flawline"),
        (["http://127.0.0.1:99999"], "The port in"),
        (["http://a..b"], "names no host"),
        (["http://127.0.0.1:0"], "port 0"),
        (["http://user:secret@127.0.0.1:8080/v1"], "Leave what stands before the @ out"),
        (["http://127.0.0.1:8080/v1/inspections"], "paths are known"),
        (["http://127.0.0.1:1", "--stream"], "--stream is gRPC"),
        (["http://127.0.0.1:1", "--rate", "5", "--clients", "2"], "choose one"),
        (["http://127.0.0.1:1", "--size", "big"], "is no size"),
        (["http://127.0.0.1:1", "--size", "8x8"], "each side must be"),
        (["http://127.0.0.1:1", "--token-file", "nowhere"], "token file nowhere cannot be read"),
        (["https://127.0.0.1:1", "--ca-file", "nowhere"], "certificates in nowhere"),
        (["grpcs://127.0.0.1:1", "--ca-file", "nowhere"], "certificates in nowhere"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments: list[str], says: str) -> None:
    assert says in refused(*arguments)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_where_nobody_is(scheme: str) -> None:
    said = refused(f"{scheme}://127.0.0.1:{free_port()}", "--size", "64x64")
    assert "No Flawline answers" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *(("unavailable", OutcomeKind.ERROR), ("ended", OutcomeKind.ERROR)),
        *(("too_many_streams", OutcomeKind.REFUSED), ("deadline", OutcomeKind.UNDEFINED)),
    ],
)
def test_a_stream_without_a_connection_is_an_error(code: str, kind: OutcomeKind) -> None:
    assert outcome_of(undefined(Frame(b"jpeg"), code, "")).kind is kind


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_where_somebody_hangs_up(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stopping = threading.Event()

        def hang_up() -> None:
            while not stopping.is_set():
                connection, _ = listener.accept()
                connection.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        said = refused(f"{scheme}://127.0.0.1:{port}", "--size", "64x64")
        stopping.set()
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join(10)
    assert "Flawline answers" in said or "does not speak HTTP" in said


def test_the_other_port(server: ServerProcess) -> None:
    assert "grpc://" in refused(f"http://{server.grpc_target}", "--size", "64x64")
    assert f"http://{server.rest_target}" in refused(
        f"grpc://{server.rest_target}", "--size", "64x64"
    )


def test_no_pictures(tmp_path: Path) -> None:
    assert "There is no picture in" in refused("http://127.0.0.1:1", tmp_path)
    (tmp_path / "empty.png").write_bytes(b"")
    assert "empty.png is empty" in refused("http://127.0.0.1:1", tmp_path)


def test_a_first_picture_that_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(truncated())
    for url in (server.url, f"grpc://{server.grpc_target}"):
        assert "takes no picture" in refused(url, tmp_path)


def test_an_empty_line_is_none(server: ServerProcess) -> None:
    for url in (server.url, f"grpc://{server.grpc_target}"):
        assert figures(url, "--clients", "1", "--line", "", *SHORT)["frames"]["answered"] > 0


@needs_openssl
def test_token_and_tls(artifact: Path, tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    files = {"tls_cert_file": str(made.cert_path), "tls_key_file": str(made.key_path)}
    server = ServerProcess(artifact, token_file=str(token), deadline_ms="20000", **files)
    rest, rpc = f"https://localhost:{server.rest_port}", f"grpcs://localhost:{server.grpc_port}"
    trust = ("--ca-file", made.cert_path)
    try:
        for url in (rest, rpc):
            shown = figures(url, "--clients", "1", "--token-file", token, *trust, *SHORT)
            assert shown["frames"]["answered"] > 0
            assert "A token is needed" in refused(url, *trust)
            assert "certificate" in refused(url, "--token-file", token).lower()
        by_settings = figures(rest, "--clients", "1", *SHORT, token_file=str(token), **files)
        assert by_settings["frames"]["answered"] > 0
        assert "No Flawline" in refused(f"grpc://localhost:{server.grpc_port}")
    finally:
        server.terminate()
        assert server.exit_code() == 0
