from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from certificates import make_certificate, needs_openssl
from pictures import numbered
from redis_process import free_port
from server_process import ServerProcess, run_flawline
from strangers import stranger
from tiny_artifact import release_tiny_artifact, write_tiny_artifact

from flawline.cli.fault import Fault
from flawline.cli.running_server import RunningServer
from flawline.settings import FlawlineSettings

TOKEN = "0123456789abcdef-token"
NOWHERE = "https://127.0.0.1:1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    (folder / "broken.onnx").write_text("notes")
    release_tiny_artifact(folder, model_version="2.0.0", created_at="2026-02-01T00:00:00Z")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    artifact = write_tiny_artifact(tmp_path_factory.mktemp("first"))
    server = ServerProcess(
        artifact, models_dir=str(folder), token_file=str(folder / "token"), engine_threads="1"
    )
    yield server
    server.terminate()
    assert server.exit_code() == 0, server.log


def said(server: ServerProcess, folder: Path, *arguments: str) -> list[str]:
    done = run_flawline(
        *("models", "--url", server.url, *arguments), token_file=str(folder / "token")
    )
    assert done.returncode == 0, done.stderr
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


@needs_openssl
@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("models", "--url", NOWHERE, "list"), "No Flawline answers"),
        (("bench", NOWHERE), "127.0.0.1:1"),
        (("health",), "Neither a server"),
    ],
)
def test_who_asks_has_the_certificate_and_not_its_key(
    tmp_path: Path, command: tuple[str, ...], says: str
) -> None:
    certificate_path = str(make_certificate(tmp_path).cert_path)
    ports = {"port": str(free_port()), "metrics_port": str(free_port())}
    done = run_flawline(*command, tls_cert_file=certificate_path, **ports)
    assert says in done.stderr + done.stdout
    assert "TLS_KEY_FILE" not in done.stderr


@pytest.mark.timeout(180)
def test_from_the_list_to_the_roll_back(server: ServerProcess, folder: Path) -> None:
    listed = said(server, folder, "list")
    assert listed[0].startswith("stable tiny 1.2.3 ")
    assert any(line.startswith("on disk tiny 2.0.0 ") for line in listed)
    assert any(line.startswith("unusable broken.onnx ") for line in listed)
    assert said(server, folder, "load", "tiny", "2.0.0") == ["loaded tiny 2.0.0"]
    assert said(server, folder, "use", "tiny") == ["stable tiny 2.0.0"]
    answer = httpx.post(
        f"{server.url}/v1/inspections",
        params={"deadline_ms": 20_000},
        content=numbered(1),
        headers={"authorization": f"Bearer {TOKEN}"},
        timeout=30,
    )
    assert answer.json()["model"]["version"] == "2.0.0"
    assert said(server, folder, "rollback") == ["stable tiny 1.2.3"]
    assert said(server, folder, "unload", "tiny", "2.0.0") == ["unloaded tiny 2.0.0"]


@pytest.mark.timeout(120)
def test_what_the_server_refuses_is_said(server: ServerProcess, folder: Path) -> None:
    token = {"token_file": str(folder / "token")}
    unknown = run_flawline("models", "--url", server.url, "use", "../tiny", **token)
    assert unknown.returncode == 2
    assert "There is no model '../tiny' here; there are: " in unknown.stderr
    no_text = run_flawline("models", "--url", server.url, "load", "tiny\udcff", "1", **token)
    assert "There is no model 'tiny" in no_text.stderr
    no_token = run_flawline("models", "--url", server.url, "list")
    assert no_token.returncode == 2
    assert "token" in no_token.stderr
    strange = run_flawline("models", "--url", "file:///etc", "list")
    assert strange.returncode == 2
    assert "http://" in strange.stderr
    nobody = run_flawline("models", "--url", f"http://127.0.0.1:{free_port()}", "list")
    assert nobody.returncode == 2
    assert re.search("No Flawline answers at .*: .Errno [0-9]+. Connection refused.", nobody.stderr)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "speak https://"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "speak https://"),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\xff", "is it the gRPC port?"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "check --url, and whether a proxy"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]", "check --url, and whether a proxy"),
    ],
)
def test_what_ends_a_connection_is_not_taken_for_another(answer: bytes, says: str) -> None:
    with stranger(answer) as port, pytest.raises(Fault) as raised:
        RunningServer(f"http://127.0.0.1:{port}", None, None).ask("GET", "/v1/models")
    assert says in str(raised.value)


def test_a_redirection_is_told_of_and_takes_no_token_along() -> None:
    heads = []
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_server(("127.0.0.1", 0)) as elsewhere,
    ):
        place = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/login"
        elsewhere.setblocking(False)
        head = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {place}?secret\r\n\r\n"

        def answering() -> None:
            connection, _ = listener.accept()
            with connection:
                heads.append(connection.recv(10_000))
                connection.sendall(head.encode())

        thread = threading.Thread(target=answering)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Fault) as raised:
            RunningServer(url, TOKEN, None).ask("GET", "/v1/models")
        thread.join()
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    assert f"302 Found, a redirection to '{place}': check --url" in str(raised.value)
    assert TOKEN.encode() in heads[0]


@pytest.mark.parametrize("text", ["", " \n", "geheim\ngeheim", "geheimü"])
def test_a_token_that_is_none_is_told_of_and_not_shown(tmp_path: Path, text: str) -> None:
    """In a header it would fail with a message that shows it."""
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(Fault, match="token file") as raised:
        RunningServer.of(FlawlineSettings(token_file=file), "http://127.0.0.1:1").ask("GET", "/")
    assert "geheim" not in str(raised.value)


def test_an_address_that_is_none_is_said_to_be_so() -> None:
    with pytest.raises(Fault, match="nonnumeric port"):
        RunningServer("http://localhost:abc", None, None).ask("GET", "/v1/models")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:8080", "must begin with http:// or https://"),
        ("http://[::1", "must begin with http:// or https://"),
        ("http://localhost:99999", "must begin with http:// or https://"),
        ("http://me:geheim@localhost:8080", "Leave what stands before the @ out"),
    ],
)
def test_a_url_that_names_no_server_is_refused_without_its_password(url: str, says: str) -> None:
    with pytest.raises(Fault, match=says) as raised:
        RunningServer.of(FlawlineSettings(), url)
    assert "geheim" not in str(raised.value)
