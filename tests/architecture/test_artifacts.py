"""Every released file is what its manifest, its card and the hash list say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flawspec.artifact import listed_sha256, read_manifest, sha256_file

FOLDER = Path(__file__).parents[2] / "models" / "artifacts"
ARTIFACTS = sorted(FOLDER.glob("*.onnx"))


def test_there_is_a_default_artifact() -> None:
    assert [p.name for p in ARTIFACTS if p.name.startswith("mobilemamba-nano-neu-")]


@pytest.mark.parametrize("path", ARTIFACTS, ids=lambda p: p.name)
def test_a_released_file_keeps_its_word(path: Path) -> None:
    manifest = read_manifest(path)
    assert path.name == f"{manifest.model_name}-{manifest.model_version}.onnx"
    assert path.stat().st_size < 20_000_000
    assert listed_sha256(path) == sha256_file(path)
    card = path.with_suffix(".md").read_text("utf-8")
    assert sha256_file(path) in card
    figure = re.search(r"mAP50 \*\*(\d\.\d+)\*\*", card)
    assert figure is not None
    assert float(figure.group(1)) == pytest.approx(manifest.metrics["map50"], abs=6e-4)


def test_every_listed_file_is_there() -> None:
    lines = (FOLDER / "SHA256SUMS").read_text("utf-8").splitlines()
    assert {line[66:] for line in lines} == {p.name for p in ARTIFACTS}
