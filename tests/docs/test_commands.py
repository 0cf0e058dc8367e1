"""README's commands, run as they stand there, one after the other in an empty folder, and pages made from code."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from certificates import needs_openssl
from pictures import encoded, numbered
from redis_process import free_port, needs_redis
from server_process import ServerProcess, flawline_environment
from tiny_artifact import release_tiny_artifact, write_tiny_artifact
from triton_client import PYTHON, needs_triton_client

from flawline.samples.generator import generate_frame

ROOT = Path(__file__).parents[2]


def commands(section: str, page: str = "README.md") -> list[str]:
    """The lines of the `sh` blocks under a heading of a page; the heading may be that of the page."""
    text = (ROOT / page).read_text("utf-8")
    (body,) = re.findall(rf"^##? {section}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^```sh\n(.*?)^```", body, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line]


def run(command: str, folder: Path) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    (artifact,) = (ROOT / "service" / "flawline" / "artifacts").glob("*.onnx")
    running = ServerProcess(artifact, deadline_ms="20000")
    yield running
    running.terminate()
    assert running.exit_code() == 0


def test_the_first_commands_are_the_ones_that_ci_runs() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    first = re.search(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert [line.split("#")[0].strip() for line in first[1].splitlines()] == [
        "make run",
        "make test",
    ]
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "make test" in script
    assert re.search(r"make -C .* run ARGS=", script)


@pytest.mark.timeout(120)
def test_asking_a_server(server: ServerProcess, tmp_path: Path) -> None:
    answers = [
        run(line.replace("localhost:8080", f"127.0.0.1:{server.rest_port}"), tmp_path)
        for line in commands("Ask it")
    ]
    assert len(answers) == 3
    assert '"verdict":"NotOK"' in answers[1].replace(" ", "")
    assert '"line":"mill-1"' in answers[1].replace(" ", "")
    assert answers[2] in {"OK", "NotOK"}


@pytest.mark.timeout(120)
def test_asking_as_clients_of_triton_do(server: ServerProcess, tmp_path: Path) -> None:
    page = "docs/open-inference.md"
    address = f"127.0.0.1:{server.rest_port}"
    answers = [
        run(line.replace("localhost:8080", address), tmp_path)
        for line in commands("Clients of Triton and KServe", page)
    ]
    assert len(answers) == 8
    assert b'"model_name":"mobilemamba-nano-neu"' in (tmp_path / "answer").read_bytes()
    assert '"data":["NotOK"]' in answers[5]
    (figures,) = json.loads(answers[6])["model_stats"]
    assert figures["inference_count"] >= 2
    assert '"READY"' in answers[7]


@needs_triton_client
@pytest.mark.timeout(120)
def test_asking_by_tritons_own_client(server: ServerProcess, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "open-inference.md").read_text("utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    run(commands("Ask it")[0], tmp_path)
    code = code.replace("localhost:8080", f"127.0.0.1:{server.rest_port}")
    done = subprocess.run(
        [PYTHON, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "b'NotOK'" in done.stdout


@pytest.mark.timeout(120)
def test_inspecting_without_a_server(tmp_path: Path) -> None:
    run(commands("Ask it")[0], tmp_path)
    outputs = [run(line, tmp_path) for line in commands("Without a server")]
    assert len(outputs) == 3
    assert len(list((tmp_path / "annotated").iterdir())) == 12
    assert len(outputs[1].splitlines()) == 12


@pytest.mark.timeout(180)
def test_playing_lines_through(tmp_path: Path) -> None:
    everything, one = commands("Base lines and alarms", "docs/watching.md")
    played = run(everything, tmp_path)
    steady, fading, softer, rising = played.split(": 10000 frames in 02:46:40\n")[1:]
    assert steady.startswith("  no alarm")
    assert "camera raised" in fading
    assert "defect_rate" not in fading + softer
    assert "camera raised: sharpness is" in softer
    assert "defect_rate raised" in rising
    assert "camera" not in rising
    assert "camera raised" in run(one, tmp_path)


@pytest.mark.timeout(300)
def test_measuring_a_server_and_tuning_a_machine(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on the page, but for how long it takes and how fast a machine must be."""
    run(commands("Ask it")[0], tmp_path)
    closed, cadence, streams = (
        run(
            line.replace("localhost:8080", server.rest_target)
            .replace("localhost:8081", server.grpc_target)
            .replace("--rate 50 --duration 30 --max-p99-ms 50 --max-misses 0", "--rate 5")
            + " --duration 1",
            tmp_path,
        )
        for line in commands("How a running server answers", "docs/tuning.md")
    )
    assert "closed loop of 8 callers, 16 drawn frames" in closed
    assert "open loop at 5 frames/s, 12 pictures in frames/images" in cadence
    document = json.loads(streams)
    assert (document["rate_per_s"], document["callers"]) == (50, 2)
    assert (tmp_path / "latency.png").exists()
    monkeypatch.setenv("FLAWLINE_DEADLINE_MS", "60000")
    tune, use = commands("Settings for this machine", "docs/tuning.md")
    tuned = run(
        tune.replace("--p99-ms 50 --rate 25", "--p99-ms 60000 --rate 1") + " --seconds 10", tmp_path
    )
    assert "flawline.env was made" in tuned
    assert "artifact" in run(use, tmp_path)


@needs_redis
@pytest.mark.timeout(120)
def test_scaling_out(tmp_path: Path) -> None:
    port, rest_port = free_port(), free_port()
    ports = {"port": str(rest_port), "grpc_port": "0", "metrics_port": "0"}
    processes: list[subprocess.Popen[bytes]] = []
    with (tmp_path / "log").open("wb") as log:
        try:
            *lasting, last = (line.replace("6379", str(port)) for line in commands("Scale out"))
            for line in lasting:
                words = f"{line} --port {port}" if line.startswith("redis-server") else line
                program, *arguments = words.split()
                beside = Path(sys.executable).with_name(program)
                command = [str(beside) if beside.exists() else program, *arguments]
                environment = flawline_environment(deadline_ms="20000", **ports)
                processes.append(
                    subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
                )
            url = f"http://127.0.0.1:{rest_port}"
            wait_until_ready(url)
            answer = httpx.post(f"{url}/v1/inspections", content=numbered(1), timeout=30)
            assert answer.json()["verdict"] in {"OK", "NotOK"}
            assert run(last, tmp_path) == ""
        finally:
            for process in reversed(processes):
                process.terminate()
                assert process.wait(30) == 0, (tmp_path / "log").read_text()


@needs_openssl
@pytest.mark.timeout(120)
def test_letting_others_in(tmp_path: Path) -> None:
    make_token, make_certificate, check, serve, sample, ask = commands(
        "Who may come in", "docs/access.md"
    )
    for line in (make_token, make_certificate, check, sample):
        run(line, tmp_path)
    *settings, program, command = serve.split()
    assert (program, command) == ("flawline", "serve")
    named = dict(setting.removeprefix("FLAWLINE_").lower().split("=") for setting in settings)
    (artifact,) = (ROOT / "service" / "flawline" / "artifacts").glob("*.onnx")
    paths = {name: str(tmp_path / file) for name, file in named.items()}
    server = ServerProcess(artifact, deadline_ms="20000", **paths)
    answer = run(ask.replace("localhost:8080", f"localhost:{server.rest_port}"), tmp_path)
    server.terminate()
    assert server.exit_code() == 0, server.log
    assert json.loads(answer)["verdict"] in {"OK", "NotOK"}


@pytest.mark.timeout(180)
def test_changing_models_at_run_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new").mkdir()
    release_tiny_artifact(tmp_path / "new", model_version="2.0.0")
    make_folder, serve, *changes = commands("Models at run time", "docs/models.md")
    run(make_folder, tmp_path)
    setting, program, command = serve.split()
    assert (program, command) == ("flawline", "serve")
    name, folder = setting.removeprefix("FLAWLINE_").lower().split("=")
    server = ServerProcess(write_tiny_artifact(tmp_path), **{name: str(tmp_path / folder)})
    monkeypatch.setenv("FLAWLINE_PORT", str(server.rest_port))
    listed, loaded, used, back, unloaded = (run(line, tmp_path) for line in changes)
    server.terminate()
    assert server.exit_code() == 0, server.log
    assert "stable  tiny 1.2.3" in listed
    assert "on disk  tiny 2.0.0" in listed
    assert (loaded, used) == ("loaded tiny 2.0.0\n", "stable tiny 2.0.0\n")
    assert (back, unloaded) == ("stable tiny 1.2.3\n", "unloaded tiny 2.0.0\n")


@pytest.mark.timeout(120)
def test_http_for_plcs_and_mes(server: ServerProcess, tmp_path: Path) -> None:
    def said(*sections: str) -> list[str]:
        lines = [line for section in sections for line in commands(section, "docs/http.md")]
        return [run(line.replace("localhost:8080", server.rest_target), tmp_path) for line in lines]

    said("HTTP for PLCs and MES")
    assert said("One word")[0] in {"OK", "NotOK"}
    form, _, document = said("Several frames of one part")
    (later,) = said("Not waiting")
    verdicts = []
    for text in (form, document, later):
        part = json.loads(text)
        verdicts.append([part["verdict"], *(frame["verdict"] for frame in part["frames"])])
    assert verdicts[0] == verdicts[1] == verdicts[2]
    assert len(verdicts[0]) == 3
    assert json.loads(form)["line"] == "press-2"
    blocks = (ROOT / "docs" / "http.md").read_text("utf-8").count("```sh\n")
    assert blocks == 5  # each of them is run, one in the test below


@pytest.mark.timeout(120)
def test_a_large_frame_is_cut_as_the_page_says(tmp_path: Path) -> None:
    (line,) = commands("How much surface a frame may show", "docs/http.md")
    setting, *command = line.split()
    assert command == ["flawline", "serve"]
    name, value = setting.removeprefix("FLAWLINE_").lower().split("=")
    (artifact,) = (ROOT / "service" / "flawline" / "artifacts").glob("*.onnx")
    wide = encoded(np.hstack([generate_frame(seed).grey for seed in range(4)]))
    running = ServerProcess(artifact, deadline_ms="20000", **{name: value})
    answer = httpx.post(f"http://{running.rest_target}/v1/inspections", content=wide, timeout=30)
    running.terminate()
    assert running.exit_code() == 0
    assert answer.status_code == 200
    assert answer.json()["frame"]["width"] == 800
    assert answer.json()["recipe"]["version"].endswith(f"+tiles-{value}-0.2")


def wait_until_ready(url: str) -> None:
    for _ in range(300):
        try:
            if httpx.get(f"{url}/healthz/ready").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} did not get ready within 30 s")


@pytest.mark.timeout(300)
@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed (extra `train`)"
)
def test_from_drawn_frames_to_a_served_model(tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(ROOT / "models")
    outputs = [run(line, tmp_path) for line in commands("Train")]
    assert len(outputs) == 7
    assert "mAP50" in outputs[4]
    assert (tmp_path / "runs/quickstart/report/report.html").exists()


def test_no_command_is_left_out() -> None:
    """A block in a section that no test above runs would go stale unseen."""
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = len(re.findall(r"^```sh$", text, re.MULTILINE))
    covered = sum(
        len(re.findall(r"^```sh$", part, re.MULTILINE))
        for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)
        if part.startswith(
            ("## Ask it", "## Without a server", "## Scale out", "## Train", "# Flawline")
        )
    )
    assert blocks == covered


@pytest.mark.parametrize("page", ["settings", "metrics"])
def test_a_page_is_the_one_that_the_code_makes(page: str) -> None:
    spec = importlib.util.spec_from_file_location(f"make_{page}", ROOT / f"docs/make_{page}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = getattr(module, f"{page}_page")()
    written = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    assert written == made, f"run: python docs/make_{page}.py"
