"""COCO metrics of detections (faster-coco-eval), and the detections of a network or an artifact on a data set."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray
from torch import nn

from flawspec.boxes import xyxy_to_xywh
from flawspec.detections import MAX_DETECTIONS, best_candidates, settle
from flawspec.letterbox import Letterbox
from mobilemamba.dataset import Dataset, Sample

LOWEST_SCORE = 0.001  # AP integrates over all scores
NMS_IOU_THRESHOLD = (
    0.5  # of new artifacts, in training as in service; each artifact carries its own
)

RawOutput = tuple[NDArray[np.float32], NDArray[np.float32]]
"""boxes_xyxy [B, A, 4] in input pixels, scores [B, A, classes] in 0..1."""
Predict = Callable[[NDArray[np.uint8]], RawOutput]
"""From uint8 [B, 1, H, W]."""


@dataclass(frozen=True)
class Detections:
    """Of one picture, in its own pixels: float32 [N, 4], float32 [N], int64 [N], score descending."""

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]


@dataclass(frozen=True)
class InputGeometry:
    """How pictures are laid into the network's input, and how its answers are thinned out."""

    width_px: int
    height_px: int
    pad_value: int
    nms_iou_threshold: float


@dataclass(frozen=True)
class Metrics:
    """COCO metrics; AP in 0..1, NaN for a class or a size that the data set lacks.

    Attributes:
        map50_95, map50: mean over classes; over IoU 0.50 to 0.95, and at 0.50.
        map50_small, map50_medium, map50_large: at 0.50, by box area in the picture's pixels (below
            32^2, to 96^2, above).
        ap50: at IoU 0.50 for each class.
    """

    map50_95: float
    map50: float
    map50_small: float
    map50_medium: float
    map50_large: float
    ap50: dict[str, float]

    def figures(self) -> dict[str, float]:
        """Every figure by name, those of classes as ``ap50/<class>``."""
        means = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name != "ap50"
        }
        return means | {f"ap50/{name}": value for name, value in self.ap50.items()}


def shown(figure: float | None, form: str = ".3f") -> str:
    """Three decimals, or as `form` says; a dash where there is no such figure."""
    return "–" if figure is None or math.isnan(figure) else f"{figure:{form}}"


def network_predictor(network: nn.Module, device: torch.device) -> Predict:
    """Predictions of an exportable network (`wrapper.ArtifactNetwork`)."""

    def predict(pictures: NDArray[np.uint8]) -> RawOutput:
        with torch.no_grad():
            boxes, scores = network(torch.from_numpy(pictures).to(device))
        return boxes.float().cpu().numpy(), scores.float().cpu().numpy()

    return predict


def lay_in(
    samples: Sequence[Sample], geometry: InputGeometry
) -> tuple[NDArray[np.uint8], list[Letterbox]]:
    """The samples as a network sees them, uint8 [N, 1, H, W], and how each was laid in."""
    pictures = np.empty((len(samples), 1, geometry.height_px, geometry.width_px), dtype=np.uint8)
    letterboxes = []
    for row, sample in enumerate(samples):
        rows, columns = sample.shape
        letterbox = Letterbox.fit(columns, rows, geometry.width_px, geometry.height_px)
        letterbox.apply_into(sample.grey, geometry.pad_value, pictures[row, 0])
        letterboxes.append(letterbox)
    return pictures, letterboxes


def detect(
    samples: tuple[Sample, ...], predict: Predict, geometry: InputGeometry, batch_size: int = 8
) -> Iterator[Detections]:
    """Detections of each sample, in order: letterbox, network, candidates, NMS, back to the picture's pixels."""
    for start in range(0, len(samples), batch_size):
        group = samples[start : start + batch_size]
        pictures, letterboxes = lay_in(group, geometry)
        boxes, scores = predict(pictures)
        for row, letterbox in enumerate(letterboxes):
            yield _thin_out(boxes[row], scores[row], letterbox, geometry.nms_iou_threshold)


def _thin_out(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    letterbox: Letterbox,
    iou_threshold: float,
) -> Detections:
    lowest = np.full(scores.shape[1], LOWEST_SCORE, dtype=np.float32)
    anchors, class_ids, found = best_candidates(scores, lowest)
    kept, in_frame = settle(boxes[anchors], found, class_ids, iou_threshold, letterbox)
    return Detections(in_frame, found[kept], class_ids[kept])


def measure(dataset: Dataset, detections: list[Detections]) -> Metrics:
    """COCO metrics of `detections`, one entry for each sample of `dataset`."""
    truth = _ground_truth(dataset)
    results = _results(dataset, detections)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        coco = COCO(truth)
        found = coco.loadRes(results) if results else COCO({**truth, "annotations": []})
        evaluation = COCOeval_faster(coco, found, "bbox", print_function=lambda *_: None)
        evaluation.params.maxDets = [1, 10, MAX_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # [IoU, recall, class, area, detections]
    at_50 = precision[0, :, :, :, -1]
    per_class = [_mean(at_50[:, k, 0]) for k in range(len(dataset.labels.names))]
    small, medium, large = (_mean(at_50[:, :, area]) for area in (1, 2, 3))
    return Metrics(
        map50_95=_mean(precision[:, :, :, 0, -1]),
        map50=_mean(at_50[:, :, 0]),
        map50_small=small,
        map50_medium=medium,
        map50_large=large,
        ap50=dict(zip(dataset.labels.names, per_class, strict=True)),
    )


def _mean(precision: NDArray[np.float64]) -> float:
    valid = precision[precision > -1]  # -1 marks classes or sizes without ground truth
    return float(valid.mean()) if valid.size else float("nan")


def _ground_truth(dataset: Dataset) -> dict[str, object]:
    """Images are numbered by their places: the library takes ids for doubles, which hold none above 2^53."""
    annotations, images = [], []
    for image_id, sample in enumerate(dataset.samples, start=1):
        height, width = sample.shape
        images.append({"id": image_id, "width": width, "height": height, "file_name": sample.name})
        for box, class_id in zip(xyxy_to_xywh(sample.boxes_xyxy), sample.class_ids, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(class_id),
                    "bbox": [float(v) for v in box],
                    "area": float(box[2] * box[3]),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(dataset.labels.names)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def _results(dataset: Dataset, detections: list[Detections]) -> list[dict[str, object]]:
    return [
        {
            "image_id": image_id,
            "category_id": int(class_id),
            "bbox": [float(v) for v in box],
            "score": float(score),
        }
        for image_id, (_, found) in enumerate(
            zip(dataset.samples, detections, strict=True), start=1
        )
        for box, score, class_id in zip(
            xyxy_to_xywh(found.boxes_xyxy), found.scores, found.class_ids, strict=True
        )
    ]
