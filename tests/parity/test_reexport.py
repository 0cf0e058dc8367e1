"""A released artifact in a new graph: the same answers, the same facts, another version."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
import torch
from mobilemamba_command import run
from plain_form import in_plain_form

from flawspec.artifact import listed_sha256, read_manifest, sha256_file
from mobilemamba.checkpoint import CheckpointError
from mobilemamba.detector import build_detector
from mobilemamba.export import artifact_predictor, textured_pictures, to_onnx, with_manifest
from mobilemamba.from_artifact import load_artifact
from mobilemamba.reexport import _network_in
from mobilemamba.wrapper import ArtifactNetwork

ROOT = Path(__file__).parents[2]
RELEASED = ROOT / "models" / "artifacts" / "mobilemamba-nano-neu-0.3.0.onnx"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released artifact as it was before there was a folded form, and its card."""
    made = in_plain_form(RELEASED, tmp_path_factory.mktemp("plain"))
    card = RELEASED.with_suffix(".md").read_text()
    made.with_suffix(".md").write_text(card.replace(sha256_file(RELEASED), sha256_file(made)))
    return made


def documented() -> list[str]:
    """The command's arguments as models/README.md gives them, its artifact found from any folder."""
    text = (ROOT / "models" / "README.md").read_text("utf-8")
    (line,) = re.findall(r"^mobilemamba (reexport .*)$", text, re.MULTILINE)
    return [str(ROOT / part) if part.startswith("models/") else part for part in line.split()]


def test_an_artifact_exported_anew_says_the_same(
    plain: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(RELEASED) in documented()
    given = [str(plain) if part == str(RELEASED) else part for part in documented()]
    assert run(monkeypatch, *given) == 0
    assert f"differs from {plain.name} by" in capsys.readouterr().out
    made = tmp_path / "anew" / "mobilemamba-nano-neu-0.3.9.onnx"
    old, new = read_manifest(plain), read_manifest(made)
    assert new == dataclasses.replace(old, model_version="0.3.9")
    digest = sha256_file(made)
    assert listed_sha256(made) == digest

    pictures = textured_pictures(3, old.input_height_px, old.input_width_px, seed=5)
    for ours, theirs, scale in zip(
        artifact_predictor(made)(pictures),
        artifact_predictor(plain)(pictures),
        (old.input_width_px, 1),
        strict=True,
    ):
        assert np.abs(ours - theirs).max() <= 1e-5 * scale
    slow = {"CumSum", "DepthToSpace"}
    assert slow <= {node.op_type for node in onnx.load(plain).graph.node}
    assert not slow & {node.op_type for node in onnx.load(made).graph.node}

    card, before = made.with_suffix(".md").read_text(), plain.with_suffix(".md").read_text()
    assert card.startswith("# mobilemamba-nano-neu 0.3.9\n")
    assert f"| sha256 | `{digest}` |" in card
    assert f"| exported anew | from `{plain.name}` (sha256 `{sha256_file(plain)}`)" in card
    assert f"{plain.name} --version 0.3.9 --out" in card
    figures = [line for line in before.splitlines() if line.startswith(("mAP50", "| crazing"))]
    assert len(figures) == 2
    assert all(line in card.splitlines() for line in figures)

    # and the new one can be started from as well
    load_artifact(made, new, build_detector("nano", len(new.labels.names)))


@pytest.mark.parametrize(
    ("size", "scan", "wavelet"),
    [("small", True, True), ("nano", False, True), ("nano", True, False)],
    ids=["size", "scan", "wavelet"],
)
def test_a_plain_artifact_that_does_not_fit_is_refused(
    plain: Path, size: Literal["nano", "small"], scan: bool, wavelet: bool
) -> None:
    manifest = read_manifest(plain)
    network = build_detector(size, len(manifest.labels.names), scan=scan, wavelet=wavelet)
    with pytest.raises(CheckpointError, match="not hold the network that model"):
        load_artifact(plain, manifest, network)


def test_what_cannot_be_exported_anew_is_left_alone(tmp_path: Path, monkeypatch, capsys) -> None:
    copy = tmp_path / RELEASED.name
    copy.write_bytes(RELEASED.read_bytes())
    assert run(monkeypatch, "reexport", copy, "--version", "0.3.0", "--out", tmp_path) == 2
    assert "exists and is the source; give another version" in capsys.readouterr().err
    assert copy.read_bytes() == RELEASED.read_bytes()
    other = onnx.load(RELEASED)
    del other.graph.initializer[:]
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(other.SerializeToString())
    assert run(monkeypatch, "reexport", foreign, "--version", "1", "--out", tmp_path) == 2
    assert "holds none of the networks that this release builds" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([copy.name, foreign.name])


def test_a_foreign_card_stops_it_before_anything_is_written(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    copy, out = tmp_path / RELEASED.name, tmp_path / "anew"
    copy.write_bytes(RELEASED.read_bytes())
    card = RELEASED.with_suffix(".md").read_text()
    lines = [line for line in card.splitlines() if not line.startswith("| made")]
    copy.with_suffix(".md").write_text("\n".join(lines))
    assert run(monkeypatch, "reexport", copy, "--version", "0.3.9", "--out", out) == 2
    assert "it has no line '| made'" in capsys.readouterr().err
    assert not out.exists()

    copy.with_suffix(".md").write_text(card)
    out.mkdir()
    other = out / "mobilemamba-nano-neu-0.3.9.onnx"
    other.write_bytes(b"what a plant has qualified")
    assert run(monkeypatch, "reexport", copy, "--version", "0.3.9", "--out", out) == 2
    assert f"{other} exists and is another artifact" in capsys.readouterr().err
    assert [p.name for p in out.iterdir()] == [other.name]
    other.unlink()
    for _ in range(2):  # the same bytes again are no other artifact
        assert run(monkeypatch, "reexport", copy, "--version", "0.3.9", "--out", out) == 0


def test_a_network_without_its_scan_is_found_in_its_artifact(tmp_path: Path) -> None:
    released = read_manifest(RELEASED)
    manifest = dataclasses.replace(released, input_width_px=64, input_height_px=64)
    torch.manual_seed(2)
    network = build_detector("nano", len(manifest.labels.names), scan=False)
    served = ArtifactNetwork(network.eval(), 0.5, 0.25).eval()
    made = tmp_path / "made.onnx"
    made.write_bytes(with_manifest(to_onnx(served, 64, 64), manifest))
    found = _network_in(made, manifest)
    assert found.state_dict().keys() == network.state_dict().keys()
