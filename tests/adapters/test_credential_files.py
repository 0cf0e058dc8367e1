from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import pytest
from certificates import make_certificate, needs_openssl

from flawline.adapters.credential_files import CredentialError, TlsFiles, read_token

TOKEN = "0123456789abcdef"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def test_the_token_is_what_the_line_holds(
    token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_token(token_file) == TOKEN
    assert caplog.text == ""


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"short\n", b"two tokens on\na line each\n", b"\xff" * 32]
)
def test_what_is_no_token_is_refused_unshown(token_file: Path, content: bytes) -> None:
    token_file.write_bytes(content)
    with pytest.raises(CredentialError, match="openssl rand -hex 32") as caught:
        read_token(token_file)
    assert str(token_file) in str(caught.value)
    assert "tokens on" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match=r"gone cannot be read: No such file"):
        read_token(tmp_path / "gone")


def test_a_file_that_all_may_read_is_said(
    token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token_file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert read_token(token_file) == TOKEN
    assert "readable_by_all" in caplog.text
    assert TOKEN not in caplog.text


@needs_openssl
def test_certificate_and_key_are_tried_on_each_other(tmp_path: Path) -> None:
    own, other = make_certificate(tmp_path), make_certificate(tmp_path, "other")
    files = TlsFiles.read(own.cert_path, own.key_path)
    assert files.cert_pem == own.cert_path.read_bytes()
    assert "PRIVATE" not in repr(files)
    with pytest.raises(CredentialError, match="no certificate and its key"):
        TlsFiles.read(own.cert_path, other.key_path)
    with pytest.raises(CredentialError, match="no certificate and its key"):
        TlsFiles.read(own.key_path, own.cert_path)


@needs_openssl
def test_an_encrypted_key_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    made, locked = make_certificate(tmp_path), tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "pkey", "-aes256", "-passout", "pass:x", "-in", made.key_path, "-out", locked],
        check=True,
    )
    with pytest.raises(CredentialError, match="unencrypted"):
        TlsFiles.read(made.cert_path, locked)
