"""What an artifact says about itself: enough to run it, to trust it and to trace it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from flawspec.errors import InvalidManifest, UnknownContract
from flawspec.labels import LabelSet
from flawspec.manifest_rules import CONTRACT_VERSION, document_faults

__all__ = ["CONTRACT_VERSION", "ArtifactManifest", "TrainingData"]


@dataclass(frozen=True)
class TrainingData:
    """One set of pictures that a model learned from."""

    name: str
    split: str
    pictures: int
    sha256: str
    """Of the annotation file that lists the pictures."""


@dataclass(frozen=True)
class ArtifactManifest:
    """One released model.

    Raises InvalidManifest, naming every fault, when values break the rules of `manifest_rules`.
    """

    contract_version: int
    model_name: str
    model_version: str
    labels: LabelSet
    """In the order of the graph's score columns."""
    input_width_px: int
    input_height_px: int
    input_channels: int
    stride_multiple: int
    """Both input sides are divisible by this."""
    pad_value: int
    """Grey level 0..255 around a letterboxed frame."""
    normalisation_mean: float
    """Subtracted from grey / 255, inside the graph; here for the record."""
    normalisation_std: float
    """Divided by, inside the graph; here for the record."""
    box_encoding: str
    nms_iou_threshold: float
    score_thresholds: tuple[float, ...]
    """Suggested, one a class, 0..1."""
    training_data: tuple[TrainingData, ...]
    metrics: Mapping[str, float]
    metrics_split: str
    license_note: str
    created_at: str
    """RFC 3339."""
    train_config_sha256: str

    def __post_init__(self) -> None:
        if faults := document_faults(self._document()):
            raise InvalidManifest(faults)

    def to_json(self) -> str:
        """Stable text: equal manifests give equal bytes."""
        return json.dumps(self._document(), sort_keys=True, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ArtifactManifest:
        """Reads what `to_json` wrote; keys it does not know are left aside.

        Raises UnknownContract for another contract version (whose rules are not known here), else
        InvalidManifest with all the faults.
        """
        document = _parse(text)
        version = document.get("contract_version")
        if isinstance(version, int) and version != CONTRACT_VERSION:
            raise UnknownContract(
                f"The artifact was made for contract version {version}, but this release reads "
                f"version {CONTRACT_VERSION}: use an artifact and a release that go together."
            )
        if faults := document_faults(document):
            raise InvalidManifest(faults)
        known = {key: document[key] for key in cls.__dataclass_fields__}
        known["labels"] = LabelSet(tuple(document["labels"]))
        known["score_thresholds"] = tuple(document["score_thresholds"])
        known["training_data"] = tuple(
            TrainingData(**{key: entry[key] for key in TrainingData.__dataclass_fields__})
            for entry in document["training_data"]
        )
        return cls(**known)

    def _document(self) -> dict[str, Any]:
        return {
            **{key: getattr(self, key) for key in self.__dataclass_fields__},
            "labels": list(self.labels.names),
            "metrics": dict(self.metrics),
            "score_thresholds": list(self.score_thresholds),
            "training_data": [asdict(entry) for entry in self.training_data],
        }


def _parse(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidManifest(["it is not JSON"]) from error
    if not isinstance(document, dict):
        raise InvalidManifest(["it is not a JSON object"])
    return document
