"""Weights between two networks of which one came from the other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mobilemamba_command import run
from safetensors.torch import load_file

from mobilemamba.blend import blend
from mobilemamba.checkpoint import Blend, CheckpointError, read_progress
from mobilemamba.config import load_config
from mobilemamba.train import BEST, LAST, Observer, Trainer

QUIET = Observer(lambda *_: None, lambda *_: None)
pytestmark = pytest.mark.timeout(300)


def trained(config: Path, folder: Path) -> Path:
    Trainer(load_config(config), folder, torch.device("cpu")).run(QUIET)
    return folder / LAST


def averaged(path: Path) -> dict[str, torch.Tensor]:
    return {k: v for k, v in load_file(path).items() if k.startswith("average.")}


@pytest.fixture
def two_runs(config_file, tmp_path: Path) -> tuple[Path, Path, Path]:
    """The configuration of a run that started from another, its checkpoint, and the other's."""
    first = config_file(epochs=1)
    before = trained(first, tmp_path / "before")
    second = tmp_path / "second.toml"
    text = first.read_text().replace("[model]\n", f'[model]\nstart = "{before}"\n')
    second.write_text(text)
    return second, trained(second, tmp_path / "after"), before


def test_every_weight_lies_between_and_export_takes_it(
    two_runs: tuple[Path, Path, Path], tmp_path: Path, monkeypatch, capsys
) -> None:
    config, after, before = two_runs
    out = tmp_path / "blend.safetensors"
    monkeypatch.setenv("BEFORE", str(before.parent))
    other = f"$BEFORE/{before.name}"
    assert run(monkeypatch, "blend", config, after, other, "--share", 0.25, "--out", out) == 0
    said = capsys.readouterr().out
    assert f"{out}: 0.25 of {after.name}, 0.75 of {before.name}; mAP50 " in said
    started, ended, mixed = averaged(before), averaged(after), averaged(out)
    assert mixed.keys() == ended.keys()
    moved = [n for n in mixed if not ended[n].equal(started[n])]
    assert len(moved) > 100
    for name, value in mixed.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, started[name].lerp(ended[name], 0.25))
    progress = read_progress(out)
    assert progress.blend is not None
    assert (progress.blend.share, progress.blend.own) == (0.25, after.name)
    folder = tmp_path / "artifacts"
    assert run(monkeypatch, "export", config, out, "--out", folder) == 0
    card = next(folder.glob("*.md")).read_text()
    assert f": 0.25 of `{after.name}`, 0.75 of `{before.name}`" in card
    assert f"{after.name} {before.name} --share 0.25 --out runs/" in card


def test_no_run_goes_on_from_a_blend_and_nothing_is_blended_twice(
    two_runs: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    config, after, before = two_runs
    run_config, out = load_config(config), tmp_path / "blend.safetensors"
    blend(run_config, after, before, 0.5, out)
    assert read_progress(out).blend == Blend(
        0.5, after.name, before.name, read_progress(out).blend.other_sha256
    )
    with pytest.raises(CheckpointError, match="no optimiser state"):
        Trainer(run_config, tmp_path / "x", torch.device("cpu")).resume(out)
    with pytest.raises(CheckpointError, match="is a blend itself"):
        blend(run_config, out, before, 0.5, tmp_path / "again.safetensors")
    with pytest.raises(CheckpointError, match="exists; give another file"):
        blend(run_config, after, before, 0.5, out)


def test_what_does_not_belong_together_is_refused(
    two_runs: tuple[Path, Path, Path], config_file, tmp_path: Path, monkeypatch
) -> None:
    config, after, before = two_runs
    out, folder = tmp_path / "blend.safetensors", tmp_path / "artifacts"
    assert run(monkeypatch, "export", tmp_path / "run.toml", before, "--out", folder) == 0
    with pytest.raises(
        CheckpointError, match=r"1\d% of the kernels .* or the same in another form"
    ):
        blend(load_config(config), after, next(folder.glob("*.onnx")), 0.5, out)
    with pytest.raises(CheckpointError, match="not trained as this configuration says"):
        blend(load_config(config), before, before, 0.5, out)
    root = Path(__file__).parents[2] / "models" / "artifacts"
    other = next(root.glob("mobilemamba-nano-neu-*.onnx"))
    with pytest.raises(CheckpointError, match="is of other classes"):
        blend(load_config(config), after, other, 0.5, out)
    assert not out.exists()
    assert (after.parent / BEST).exists()
