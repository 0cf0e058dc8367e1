from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from flawline.adapters.prometheus import OTHER
from flawline.core.tiling import Tiling
from flawline.settings import FlawlineSettings, SettingsError, load_settings
from flawspec.decoding import DecodeLimits
from flawspec.limits import HIGHEST_MAX_PIXELS

EVERYWHERE = "0.0.0.0"  # noqa: S104 - so that it is refused


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FLAWLINE_")]:
        monkeypatch.delenv(name)


def faults_of(**overrides: object) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(**overrides)
    return caught.value.faults


def test_the_defaults_are_those_that_everything_shares() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.grpc_port) == ("127.0.0.1", 8080, 8081)
    assert settings.deadline_ms == 1000
    assert settings.lines == ()
    assert settings.artifact is None


def test_the_environment_is_read_and_an_override_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAWLINE_PORT", "9000")
    monkeypatch.setenv("FLAWLINE_DEADLINE_MS", "250")
    monkeypatch.setenv("FLAWLINE_ARTIFACT", "/models/a.onnx")
    monkeypatch.setenv("FLAWLINE_LINES", " press-1, press-2 ,,mill.3 ")
    settings = load_settings(port=9100, host=None)
    assert (settings.port, settings.deadline_ms) == (9100, 250)
    assert settings.artifact == Path("/models/a.onnx")
    assert settings.lines == ("press-1", "press-2", "mill.3")


def test_frames_are_cut_where_a_tile_has_a_size() -> None:
    assert load_settings().tiling is None
    assert load_settings(tile_px="400x128").tiling == Tiling(400, 128, 0.2)
    assert load_settings(tile_px="64x64", tile_overlap=0.0).tiling == Tiling(64, 64, 0.0)


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAWLINE_ARTIFACT", "")
    monkeypatch.setenv("FLAWLINE_LINES", "")
    settings = load_settings()
    assert settings.artifact is None
    assert settings.lines == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "65536"),
        ("port", "http"),
        ("grpc_port", "-1"),
        ("deadline_ms", "0"),
        ("max_batch", "0"),
        ("queue_capacity", "0"),
        ("max_body_bytes", "12"),
        ("drain_timeout_s", "-1"),
        ("engine_stall_s", "nan"),
        ("artifact_sha256", "abc"),
        ("log_level", "loud"),
        ("insecure", "perhaps"),
        ("traces", "on"),
        ("traces", "127.0.0.1:4317"),
        ("traces_ratio", "1.5"),
        ("tile_px", "200"),
        ("tile_px", "200x"),
        ("tile_px", "9x200"),
        ("tile_px", "-200x200"),
        ("tile_px", "00x00"),
        ("tile_px", "100x٢٠٠"),
        ("tile_overlap", "0.8"),
        ("lines", "press 1"),
        ("lines", "press-1,<script>"),
        ("lines", "press-2,press-1,press-2"),
        ("lines", f"press-1,{OTHER}"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"FLAWLINE_{name.upper()}"
    monkeypatch.setenv(variable, value)
    (fault,) = faults_of()
    assert variable in fault
    assert value.split(",")[-1] in fault


def test_all_faults_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAWLINE_PORT", "99999")
    monkeypatch.setenv("FLAWLINE_LINES", "a b")
    monkeypatch.setenv("FLAWLINE_MAX_DEADLINE_MS", "10")
    monkeypatch.setenv("FLAWLINE_HOST", EVERYWHERE)
    monkeypatch.setenv("FLAWLINE_DEADLINE", "500")
    text = "\n".join(faults_of(max_batch=0))
    for variable in ("PORT", "LINES", "MAX_DEADLINE_MS", "INSECURE", "DEADLINE:", "MAX_BATCH"):
        assert f"FLAWLINE_{variable}" in text
    assert "did you mean FLAWLINE_DEADLINE_MS?" in text


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("FLAWLINE_QQQ", "remove it."),
        ("FLAWLINE_LINE", "did you mean FLAWLINE_LINES?"),
        ("FLAWLINE_SERVICE_HOST", "enableServiceLinks: false"),
        ("FLAWLINE_PORT_8080_TCP_ADDR", "enableServiceLinks: false"),
    ],
)
def test_an_unknown_variable_is_a_fault(
    name: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    (fault,) = faults_of()
    assert fault.startswith(f"{name}: there is no such setting; ")
    assert hint in fault


@pytest.mark.parametrize("host", [EVERYWHERE, "192.168.1.5", "::", "press.example"])
def test_leaving_loopback_must_be_agreed_to(host: str) -> None:
    (fault,) = faults_of(host=host)
    assert "--insecure" in fault
    assert load_settings(host=host, insecure=True).host == host


def test_a_token_opens_the_way_out_of_loopback() -> None:
    settings = load_settings(host=EVERYWHERE, token_file="/run/secrets/token")
    assert not settings.insecure
    assert not settings.on_loopback


@pytest.mark.parametrize("alone", ["tls_cert_file", "tls_key_file"])
def test_certificate_and_key_go_together(alone: str) -> None:
    (fault,) = faults_of(**{alone: "/run/secrets/tls.pem"})
    assert "tls_cert_file and tls_key_file go together" in fault
    both = load_settings(tls_cert_file="/c.pem", tls_key_file="/k.pem")
    assert (both.tls_cert_file, both.tls_key_file) == (Path("/c.pem"), Path("/k.pem"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_agreement(host: str) -> None:
    assert load_settings(host=host).host == host


def test_the_default_deadline_must_be_one_that_may_be_asked_for() -> None:
    (fault,) = faults_of(deadline_ms=5000, max_deadline_ms=4000)
    assert "FLAWLINE_MAX_DEADLINE_MS" in fault
    assert "5000" in fault


def test_settings_do_not_change_and_know_no_other_field() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.port = 1
    assert "prot" in faults_of(prot=1)[0]


def test_every_setting_is_explained() -> None:
    assert all(field.description for field in FlawlineSettings.model_fields.values())


def test_the_level_of_the_log_may_be_written_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAWLINE_LOG_LEVEL", "INFO")
    assert load_settings().log_level == "info"


def test_no_pixel_limit_can_be_set_that_decoding_would_refuse() -> None:
    most = load_settings(max_pixels=HIGHEST_MAX_PIXELS).max_pixels
    assert DecodeLimits(max_pixels=most).max_pixels == most
    with pytest.raises(SettingsError, match="FLAWLINE_MAX_PIXELS"):
        load_settings(max_pixels=HIGHEST_MAX_PIXELS + 1)
