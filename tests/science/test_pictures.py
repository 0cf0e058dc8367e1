from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilemamba.annotations import DatasetError
from mobilemamba.augment import AugmentConfig
from mobilemamba.batches import EpochPlan
from mobilemamba.config import load_config
from mobilemamba.dataset import load_dataset
from mobilemamba.pictures import OnDisk, Room, decode_grey, usable_memory_bytes
from mobilemamba.sets import load_sets
from mobilemamba.split import coco_document, find_groups
from mobilemamba.trained_on import TrainedOn, pictures_sha256

ROOM = "mobilemamba.dataset.room"
TWO_PICTURES = 2 * 96 * 96 + 1


def test_a_set_larger_than_its_room_is_read_once_and_no_more_is_kept(
    coco_folder, monkeypatch
) -> None:
    read: list[weakref.ref] = []

    def noted(*args: object) -> np.ndarray:
        grey = decode_grey(*args)
        read.append(weakref.ref(grey))
        return grey

    monkeypatch.setattr("mobilemamba.pictures.decode_grey", noted)
    room = Room(TWO_PICTURES)
    monkeypatch.setattr(ROOM, lambda: room)
    folder = coco_folder(count=6)
    for _ in range(2):  # what the first set took is free again
        data = load_dataset(folder / "annotations.json", folder / "images")
        assert [isinstance(s.pixels, OnDisk) for s in data.samples] == [False] * 2 + [True] * 4
        load_dataset(None, folder / "images", data.labels)
        coco_document(data.samples, data.labels)
        pictures_sha256(data.samples)
        assert len(read) == 12, "shapes and digests are known"
        find_groups([data])
        assert len(read) >= 16
        assert sum(ref() is not None for ref in read) == 2
        del data
        read.clear()
        gc.collect()


def test_what_has_no_room_is_the_same_data(config_file, monkeypatch) -> None:
    config = load_config(config_file())

    def seen() -> list[object]:
        sets = load_sets(config)
        plan = EpochPlan(4, (64, 128), 114, 1, AugmentConfig(mosaic=0.5))
        batches = [b.pictures.tolist() for b in plan.batches(sets[0].samples, 0, True)]
        clean = load_dataset(None, Path(config.val.images), sets[0].labels).sha256
        digests = pictures_sha256(sets[0].samples)
        return [TrainedOn.of(config, sets), digests, clean, find_groups(sets).overlaps, batches]

    kept = seen()
    for limit_bytes in (0, TWO_PICTURES):
        room = Room(limit_bytes)
        monkeypatch.setattr(ROOM, lambda room=room: room)
        assert seen() == kept


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda path: path.unlink(), "cannot be read: No such file"),
        (lambda path: Image.new("L", (96, 48)).save(path), "was changed since"),
        (lambda path: Image.new("L", (96, 96)).save(path), "was changed since"),
    ],
)
def test_a_picture_that_changes_meanwhile(coco_folder, monkeypatch, change, fault) -> None:
    room = Room(TWO_PICTURES)
    monkeypatch.setattr(ROOM, lambda: room)
    folder = coco_folder(count=3)
    data = load_dataset(folder / "annotations.json", folder / "images")
    change(folder / "images" / "2.png")
    with pytest.raises(DatasetError, match=rf"2\.png {fault}"):
        find_groups([data])


def test_a_container_s_limit_counts(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/\n")
    machine = usable_memory_bytes(tmp_path, own)
    (tmp_path / "memory.max").write_text("max\n")
    assert usable_memory_bytes(tmp_path, own) == machine > 2**20
    (tmp_path / "memory.max").write_text("70000\n")
    assert usable_memory_bytes(tmp_path, own) == 70000


@pytest.mark.parametrize(
    ("own", "limits", "usable"),
    [
        (
            "0::/train.slice/run.scope",
            {"train.slice/run.scope/memory.max": "max", "train.slice/memory.max": "80000"},
            80000,
        ),
        ("0::/a/b\n", {"a/b/memory.max": "30000", "a/memory.max": "90000"}, 30000),
        (
            "4:memory:/docker/0a\n2:cpu:/c",
            {"memory/docker/0a/memory.limit_in_bytes": "50000", "c/memory.max": "7"},
            50000,
        ),
    ],
    ids=["a slice's", "a unit's", "v1"],
)
def test_the_least_limit_of_all_cgroups_above_counts(
    own: str, limits: dict[str, str], usable: int, tmp_path: Path
) -> None:
    for name, text in limits.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "own").write_text(own)
    assert usable_memory_bytes(tmp_path, tmp_path / "own") == usable
