"""The OpenAPI document against a real server: whatever is sent, the answer is one of those documented."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from server_process import ServerProcess

SUPPORT = Path(__file__).parents[1] / "support"
TOKEN = "0123456789abcdef-token"
WITH_TOKEN = {"authorization": f"Bearer {TOKEN}"}
# No schema can say which bytes are a picture, so a valid request may well be refused; and only an
# inspection that was not waited for can be fetched, since an answer that was given is not kept.
IMPOSSIBLE = "positive_data_acceptance,ensure_resource_availability"


def run_schemathesis(url: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
        *("--exclude-checks", IMPOSSIBLE, "--max-examples", "10", "--seed", "1", "--no-color"),
        *("--generation-database", "none", "--suppress-health-check", "all"),
        *("--continue-on-failure", "--request-timeout", "60", *options),
    ]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        "PYTHONPATH": os.pathsep.join((str(SUPPORT), *filter(None, sys.path))),
    }
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(400)
def test_every_answer_is_one_that_is_documented(artifact: Path, tmp_path: Path) -> None:
    """Status, media type, headers and body; bad data refused; no 5xx; no way past the token."""
    (tmp_path / "token").write_text(TOKEN)
    server = ServerProcess(artifact, token_file=str(tmp_path / "token"))
    header = ("--header", f"Authorization: {WITH_TOKEN['authorization']}")
    ended = run_schemathesis(server.url, tmp_path, *header)
    verdicts = httpx.get(f"{server.url}/metrics", headers=WITH_TOKEN, timeout=30).text
    server.terminate()
    assert server.exit_code() == 0
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in server.log
    assert 'verdict="NotOK"' in verdicts  # it did not only try what is refused


def test_the_document_names_the_lock(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    server = ServerProcess(artifact, token_file=str(tmp_path / "token"))
    document = httpx.get(f"{server.url}/openapi.json").json()
    server.terminate()
    assert server.exit_code() == 0
    assert document["security"] == [{"token": []}]
    (scheme,) = document["components"]["securitySchemes"].values()
    assert scheme == {"type": "http", "scheme": "bearer"}
    open_paths = {
        path
        for path, operations in document["paths"].items()
        if all(operation.get("security") == [] for operation in operations.values())
    }
    assert open_paths >= {"/healthz/live", "/healthz/ready"}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("401" in operation["responses"]) is (path not in open_paths), path
