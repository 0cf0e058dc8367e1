"""Detections on pictures that their network was not trained on, as a file: what thresholds may be chosen from."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawspec.labels import LabelSet
from mobilemamba.annotations import DatasetError
from mobilemamba.dataset import Sample
from mobilemamba.evaluate import Detections
from mobilemamba.trained_on import places_once
from mobilemamba.whole_file import whole

# what damage to a .npz file raises, and what another file of numpy's does
UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    EOFError,
    RuntimeError,
    TypeError,
    AttributeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class OutOfFold:
    """Samples (whose pixels are not kept in the file) and what was found in each.

    Attributes:
        labels: what class ids stand for.
        samples, detections: one a picture.
        pictures_sha256: `pictures.picture_sha256` of each; empty where a former release wrote the file.
        config_sha256: of the TOML file of the networks; empty likewise.
    """

    labels: LabelSet
    samples: Sequence[Sample]
    detections: Sequence[Detections]
    pictures_sha256: tuple[str, ...] = ()
    config_sha256: str = ""

    def once(self) -> OutOfFold:
        """Each picture once, since a copy is no further evidence; all where no digests are known."""
        if not self.pictures_sha256:
            return self
        places = places_once(self.samples, self.pictures_sha256)
        return replace(
            self,
            samples=[self.samples[i] for i in places],
            detections=[self.detections[i] for i in places],
            pictures_sha256=tuple(self.pictures_sha256[i] for i in places),
        )

    def save(self, path: Path) -> None:
        """Write beside the target, then rename."""
        with whole(path) as partial, partial.open("wb") as file:
            np.savez_compressed(
                file,
                labels=np.array(self.labels.names),
                pictures_sha256=np.array(self.pictures_sha256, dtype=np.str_),
                config_sha256=np.array(self.config_sha256),
                names=np.array([s.name for s in self.samples]),
                true_counts=np.array([len(s.class_ids) for s in self.samples], dtype=np.int64),
                true_boxes_xyxy=_joined([s.boxes_xyxy for s in self.samples], (0, 4), np.float32),
                true_class_ids=_joined([s.class_ids for s in self.samples], (0,), np.int64),
                counts=np.array([len(d.scores) for d in self.detections], dtype=np.int64),
                boxes_xyxy=_joined([d.boxes_xyxy for d in self.detections], (0, 4), np.float32),
                scores=_joined([d.scores for d in self.detections], (0,), np.float32),
                class_ids=_joined([d.class_ids for d in self.detections], (0,), np.int64),
            )

    @classmethod
    def load(cls, path: Path) -> OutOfFold:
        """Read what `save` wrote; the samples' pictures are empty.

        Raises:
            DatasetError: it cannot be read, or is something else.
        """
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            true_ends, ends = found["true_counts"].cumsum()[:-1], found["counts"].cumsum()[:-1]
            blank = np.zeros((0, 0), np.uint8)
            boxes = np.split(found["true_boxes_xyxy"], true_ends)
            ids = np.split(found["true_class_ids"], true_ends)
            samples = tuple(
                Sample(str(name), i + 1, blank, boxes[i], ids[i])
                for i, name in enumerate(found["names"])
            )
            parts = (np.split(found[k], ends) for k in ("boxes_xyxy", "scores", "class_ids"))
            detections = tuple(Detections(*one) for one in zip(*parts, strict=True))
            labels = LabelSet(tuple(map(str, found["labels"])))
            pictures = tuple(map(str, found.get("pictures_sha256", ())))
            config = str(found.get("config_sha256", ""))
            return cls(labels, samples, detections, pictures, config)
        except UNREADABLE as error:
            raise DatasetError(path, [f"holds no out-of-fold detections: {error}"]) from error


def _joined(arrays: list[NDArray[Any]], shape: tuple[int, ...], kind: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(shape, kind), *arrays]).astype(kind)
