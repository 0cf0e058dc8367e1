from __future__ import annotations

import logging
import ssl
import subprocess
from dataclasses import replace
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


@needs_openssl
def test_a_certificate_says_when_it_ends(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    told = subprocess.run(
        ["openssl", "x509", "-in", str(made.cert_path), "-noout", "-enddate"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    expires_s = ssl.cert_time_to_seconds(told.strip().removeprefix("notAfter="))
    assert TlsFiles.read(made.cert_path, made.key_path).expires_unix_s == expires_s
    chain = made.cert_path.read_bytes() + make_certificate(tmp_path, "ca").cert_path.read_bytes()
    with_text = b"subject=CN = localhost\n" + chain
    assert replace(TlsFiles.read(made.cert_path, made.key_path), cert_pem=with_text).expires_unix_s
    for end, unix_s in (("491231235959Z", 2524607999), ("20500101000000Z", 2524608000)):
        assert ending(made.cert_path, made.key_path, end).expires_unix_s == unix_s


def ending(cert_path: Path, key_path: Path, end: str) -> TlsFiles:
    """The same certificate with another end; that its signature is wrong then concerns nobody here."""
    der = ssl.PEM_cert_to_DER_cert(cert_path.read_text())
    at = der.index(b"\x17\x0d", der.index(b"\x17\x0d") + 1)
    tag = b"\x17" if len(end) == 13 else b"\x18"
    changed = der[:at] + tag + bytes([len(end)]) + end.encode() + der[at + 15 :]
    # what surrounds it: the certificate, its fields, and the validity
    grown = len(end) - 13
    if grown:
        validity = der.rindex(b"\x30\x1e", 0, at)
        changed = changed[: validity + 1] + bytes([0x1E + grown]) + changed[validity + 2 :]
        for length_at in (2, 6):
            size = int.from_bytes(changed[length_at : length_at + 2], "big") + grown
            changed = changed[:length_at] + size.to_bytes(2, "big") + changed[length_at + 2 :]
    pem = ssl.DER_cert_to_PEM_cert(changed).encode()
    return TlsFiles(cert_path, key_path, pem, b"")


@pytest.mark.parametrize(
    "cert_pem",
    [
        b"",
        b"-----BEGIN TRUSTED CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nMIL/\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\n\xff\n-----END CERTIFICATE-----",
    ],
)
def test_what_does_not_say_when_it_ends_is_let_be(tmp_path: Path, cert_pem: bytes) -> None:
    assert TlsFiles(tmp_path, tmp_path, cert_pem, b"").expires_unix_s is None
