"""check, sample, demo, serve, and what all commands have in common."""

from __future__ import annotations

import errno
import hashlib
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import run
from server_process import run_flawline
from strangers import stranger
from tiny_artifact import write_tiny_artifact

import flawline.cli


def test_check_marks_each_check(artifact: Path) -> None:
    result = run("check")
    assert result.exit_code == 0, result.stdout
    settings, loaded, self_test = result.stdout.splitlines()
    assert settings.startswith("\N{CHECK MARK} settings: REST 127.0.0.1:8080")
    assert loaded.startswith("\N{CHECK MARK} artifact: tiny 1.2.3")
    assert "not of release" in loaded
    assert "scratch, pit" in loaded
    assert self_test.startswith("\N{CHECK MARK} self test: a generated frame was inspected")


def test_check_names_all_faulty_settings_at_once(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAWLINE_PORT", "70000")
    monkeypatch.setenv("FLAWLINE_MAX_BATCH", "many")
    result = run("check")
    assert result.exit_code == 2
    assert result.stdout.count("\N{BALLOT X} settings: ") == 2
    assert "FLAWLINE_PORT" in result.stdout
    assert "FLAWLINE_MAX_BATCH" in result.stdout


def _missing(artifact: Path) -> None:
    artifact.unlink()


def _replaced(artifact: Path) -> None:
    artifact.write_bytes(artifact.read_bytes() + b"\0")


def _of_a_later_contract(artifact: Path) -> None:
    text = json.dumps({"contract_version": 99})
    write_tiny_artifact(artifact.parent, artifact.name, manifest_text=text)


def _not_onnx(artifact: Path) -> None:
    artifact.write_text("no artifact")
    digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
    (artifact.parent / "SHA256SUMS").write_text(f"{digest}  {artifact.name}\n")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_missing, "tiny.onnx"),
        (_replaced, "sha256"),
        (_of_a_later_contract, "contract version 99"),
        (_not_onnx, "ONNX"),
    ],
)
@pytest.mark.parametrize("command", ["check", "serve", "inspect", "demo"])
def test_a_bad_artifact_ends_every_command_with_a_sentence(
    artifact: Path, pictures: Path, spoil: Callable[[Path], None], says: str, command: str
) -> None:
    spoil(artifact)
    arguments = {"inspect": [pictures], "check": []}.get(
        command, ["--port", "0", "--grpc-port", "0"]
    )
    result = run(command, *arguments)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output


def test_a_taken_port_is_named_with_what_to_do(artifact: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        for arguments in (
            ["--port", port, "--grpc-port", "0"],
            ["--port", "0", "--grpc-port", port],
        ):
            for command in ("serve", "demo"):
                result = run(command, *arguments)
                assert result.exit_code == 2
                assert f"{port} on 127.0.0.1 is taken" in result.stderr
                assert "choose another" in result.stderr


@pytest.mark.parametrize(
    ("asks", "says"),
    [
        (["simulate", "--frames", "20"], "steady"),
        (["health"], "Neither a server on port 9 nor a worker on 9."),
        (["models", "list"], ":9"),
        (["bench", "http://127.0.0.1:9"], "127.0.0.1:9"),
        (["dead-letters", "--queue", "redis://127.0.0.1:9", "list"], "cannot be reached"),
        (["inspect", "nowhere.png"], "nowhere.png"),
    ],
)
def test_what_listens_nowhere_needs_no_agreement_to_it(
    asks: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere = "0.0.0.0"  # noqa: S104 - nothing listens
    for name, value in {"HOST": everywhere, "PORT": "9", "METRICS_PORT": "9"}.items():
        monkeypatch.setenv(f"FLAWLINE_{name}", value)
    result = run(*asks)
    assert says in result.output
    assert "insecure" not in result.output


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\xfe\xfd",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\xff",
    ],
)
def test_health_is_not_asked_of_strangers(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"ready": true}'
    with stranger(answer) as port, stranger(ready) as metrics_port:
        monkeypatch.setenv("FLAWLINE_PORT", str(port))
        monkeypatch.setenv("FLAWLINE_METRICS_PORT", str(metrics_port))
        result = run("health")
    assert (result.exit_code, result.stdout) == (0, '{"ready": true}\n')


def test_leaving_loopback_needs_insecure(artifact: Path) -> None:
    result = run("serve", "--host", "192.0.2.1")
    assert result.exit_code == 2
    assert "--insecure" in result.stderr


def test_a_worker_needs_a_queue_that_it_can_share(artifact: Path) -> None:
    result = run("worker")
    assert result.exit_code == 2
    assert "--queue" in result.stderr


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_queue_that_is_none_is_refused_without_its_password(artifact: Path, command: str) -> None:
    result = run(command, "--queue", "amqp://user:geheim@host")
    assert result.exit_code == 2
    assert "redis://" in result.stderr
    assert "geheim" not in result.stderr


def test_a_workers_taken_port_is_named(artifact: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        result = run("worker", "--queue", "redis://127.0.0.1:1", "--metrics-port", port)
    assert result.exit_code == 2
    assert f"FLAWLINE_METRICS_PORT) {port} on 127.0.0.1 is taken" in result.stderr


def test_serve_refuses_a_port_out_of_range(artifact: Path) -> None:
    result = run("serve", "--port", "70000")
    assert result.exit_code == 2
    assert "70000" in result.stderr


def test_demo_once_prints_the_answer_and_where_everything_is(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("demo", "--once", "--port", "0", "--grpc-port", "0")
    assert result.exit_code == 0, result.output
    answer, _ = json.JSONDecoder().raw_decode(result.stdout)
    assert answer["part_id"] == "SAMPLE-1"
    assert answer["verdict"] in ("OK", "NotOK")
    annotated = tmp_path / "inspected" / "sample-annotated.png"
    assert annotated.is_file()
    for part in (str(annotated), "/docs", "/metrics", "gRPC", "curl --data-binary"):
        assert part in result.stdout


def test_demo_falls_back_to_a_temporary_folder(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inspected").write_text("in the way")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    result = run("demo", "--once", "--port", "0", "--grpc-port", "0")
    assert result.exit_code == 0, result.output
    assert len(list(tmp_path.glob("flawline-*/sample-annotated.png"))) == 1


def test_sample_writes_frames_and_their_truth(tmp_path: Path) -> None:
    arguments = ["--count", "3", "--seed", "5", "--width", "96", "--height", "80"]
    result = run("sample", tmp_path / "frames", *arguments, "--clean-share", "0")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("3 frames with ")
    truth = json.loads((tmp_path / "frames" / "annotations.json").read_text())
    assert [(image["width"], image["height"]) for image in truth["images"]] == [(96, 80)] * 3
    assert len(list((tmp_path / "frames" / "images").glob("*.png"))) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--width", "10"],
        ["--count", "0"],
        ["--seed", "-1"],
        ["--clean-share", "2"],
        ["--count", "x"],
    ],
)
def test_sample_refuses_what_it_cannot_draw(tmp_path: Path, arguments: list[str]) -> None:
    result = run("sample", tmp_path / "frames", *arguments)
    assert result.exit_code == 2
    assert result.stderr
    assert not (tmp_path / "frames").exists()


def test_sample_leaves_other_annotations_alone(tmp_path: Path) -> None:
    (tmp_path / "annotations.json").write_text("{}")
    result = run("sample", tmp_path)
    assert result.exit_code == 2
    assert "choose another folder." in result.stderr


def test_help_and_version_work_without_settings() -> None:
    for arguments in (["--help"], ["-h"], ["serve", "--help"], ["--version"]):
        assert run(*arguments).exit_code == 0
    listed = run("--help").stdout
    assert all(name in listed for name in ("check", "demo", "inspect", "sample", "serve", "worker"))
    assert run("no-such-command").exit_code == 2


def test_an_unexpected_error_is_a_sentence_unless_a_traceback_is_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("flawline.cli.commands", broken)
    monkeypatch.setattr("sys.argv", ["flawline", "check"])
    with pytest.raises(SystemExit) as ended:
        flawline.cli.main()
    assert ended.value.code == 2
    assert "a bug" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["flawline", "--traceback", "check"])
    with pytest.raises(RuntimeError):
        flawline.cli.main()


def test_a_full_disk_behind_the_output_is_no_bug_of_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("flawline.cli.commands", full)
    with pytest.raises(SystemExit) as ended:
        flawline.cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said == "Error: The output cannot be written: No space left on device.\n"


def test_python_m_flawline_is_the_same() -> None:
    done = run_flawline("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert "flawline" in done.stdout


def test_simulate_prints_which_alarms_are_raised_and_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAWLINE_BASELINE_FRAMES", "100")
    result = run(
        "simulate", "--frames", "1000", "--fade", "0.05", "--rise", "0.05", "--blur", "0.1"
    )
    assert result.exit_code == 0, result.output
    steady, fading, softer, rising = result.stdout.split(":", 1)[1].split("frames in 00:16:40")[1:]
    assert "no alarm" in steady
    assert "camera raised: brightness is" in fading
    assert "defect_rate raised: the defect rate rose" in rising
    assert "camera raised: sharpness is" in softer
    assert "no alarm" not in fading + softer + rising


def test_simulate_says_when_it_ends_before_anything_goes_wrong() -> None:
    result = run("simulate", "fading-light", "--frames", "60")
    assert result.exit_code == 0, result.output
    assert "nothing was tried: the line learns from its first 1000 frames" in result.stdout
    assert "no alarm" not in result.stdout


def test_check_says_that_it_ran_on_the_cpu(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAWLINE_ENGINE_DEVICE", "cuda")
    result = run("check")
    assert result.exit_code == 0, result.output
    assert "FLAWLINE_ENGINE_DEVICE=cuda is not to be had here" in result.stdout


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("FLAWLINE_GRPC_PORT", "8080", "must not be the HTTP port as well"),
        (
            "FLAWLINE_QUEUE",
            "redis://:geheim@host:notaport",
            "queue (FLAWLINE_QUEUE) cannot be used",
        ),
        ("FLAWLINE_QUEUE", "redis://:geheim/x@host", "queue (FLAWLINE_QUEUE) cannot be used"),
        ("FLAWLINE_QUEUE", "redis://:geheim@127.0.0.1:1/plant-2", "FLAWLINE_QUEUE_NAMESPACE"),
        ("FLAWLINE_QUEUE", "redis://:geheim@127.0.0.1:1?nonsense=1", "option behind a ?"),
        ("FLAWLINE_QUEUE", "rediss://:geheim@127.0.0.1:1?ssl_cert_reqs=odd", "option behind a ?"),
        ("FLAWLINE_QUEUE", "redis://:geheim@127.0.0.1:1?decode_responses=1", "option behind a ?"),
        ("FLAWLINE_QUEUE", "redis://:geheim@127.0.0.1:1?protocol=3", "option behind a ?"),
        ("FLAWLINE_QUEUE", "redis://:geheim@127.0.0.1:1?socket_timeout=1", "QUEUE_TIMEOUT_S"),
        ("FLAWLINE_QUEUE", "redis://:geheim@127.0.0.1:1?max_connections=4", "max_connections"),
    ],
)
@pytest.mark.parametrize("command", ["check", "serve"])
def test_check_refuses_what_serve_refuses(
    artifact: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    variable: str,
    value: str,
    says: str,
) -> None:
    monkeypatch.setenv(variable, value)
    result = run(command)
    assert result.exit_code == 2
    assert says in result.output
    assert "geheim" not in result.output


def test_check_takes_a_queue_that_can_be_used(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAWLINE_QUEUE", "redis://:geheim@127.0.0.1:1/0?retry_on_timeout=no")
    result = run("check")
    assert result.exit_code == 0, result.output
    assert "queue: its address can be used" in result.stdout


def test_sample_names_a_foreign_file_as_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("keep")
    folder.mkdir()
    (folder / "annotations.json").write_text("mine")
    result = run("sample", folder)
    assert result.exit_code == 2
    assert "Error: keep/annotations.json" in result.output
