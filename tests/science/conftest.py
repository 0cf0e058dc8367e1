"""Everything here needs the extra `train`; without it the whole folder is left out, and says so."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import torch

    torch.set_num_threads(1)  # tiny tensors: threads only wait for one another


def pytest_report_header() -> str | None:
    if importlib.util.find_spec("torch") is None:
        return "tests/science: left out, torch is not installed (extra `train`)"
    return None


@pytest.fixture
def coco_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a data set of grey pictures in which a flaw is a bright or a dark rectangle."""

    def write(count: int = 6, seed: int = 0, name: str = "set", side: int = 96) -> Path:
        rng = np.random.default_rng(seed)
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        images, annotations = [], []
        for index in range(count):
            grey = rng.normal(128, 4, (side, side))
            class_id = index % 2
            x, y = (int(v) for v in rng.integers(4, side - 50, 2))
            width, height = (int(v) for v in rng.integers(24, 44, 2))
            grey[y : y + height, x : x + width] += 90 if class_id else -90
            file_name = f"{index}.png"
            Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(folder / "images" / file_name)
            images.append({"id": index + 1, "file_name": file_name, "width": side, "height": side})
            box = [x, y, width, height]
            entry = {"id": index + 1, "image_id": index + 1, "category_id": class_id, "bbox": box}
            annotations.append(entry)
        categories = [{"id": 0, "name": "dark"}, {"id": 1, "name": "bright"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / "annotations.json").write_text(json.dumps(content))
        return folder

    return write


@pytest.fixture
def config_file(tmp_path: Path, coco_folder: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a configuration for a tiny run on such a data set."""

    def write(training: str = "", count: int = 8, name: str = "run", epochs: int = 2) -> Path:
        folder = coco_folder(count=count, name=f"{name}-data")
        entry = f'annotations = "{folder}/annotations.json"\nimages = "{folder}/images"\n'
        path = tmp_path / f"{name}.toml"
        path.write_text(
            f'seed = 3\n[[train]]\nname = "squares"\nsplit = "train"\n{entry}'
            f'[val]\nname = "squares"\nsplit = "val"\n{entry}'
            '[model]\nname = "mobilemamba-nano-squares"\nlicense_note = "made up"\n'
            "[input]\nwidth_px = 128\nheight_px = 64\n"
            f"[training]\nepochs = {epochs}\nbatch_size = 4\nevaluate_every = {max(1, epochs // 2)}\n{training}\n"
        )
        return path

    return write


@pytest.fixture
def same_checkpoint() -> Callable[[Path, Path], bool]:
    """Whether two checkpoints hold the same tensors, bit for bit, and the same progress."""
    from safetensors.torch import load_file

    from mobilemamba.checkpoint import read_progress

    def compare(first: Path, second: Path) -> bool:
        a, b = load_file(first), load_file(second)
        assert a.keys() == b.keys()
        return read_progress(first) == read_progress(second) and all(a[k].equal(b[k]) for k in a)

    return compare
