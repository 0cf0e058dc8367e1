"""The rules of a manifest, over its JSON form: who writes one and who reads it obey the same."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeGuard

from flawspec.labels import label_faults

CONTRACT_VERSION = 1
BOX_ENCODING = "xyxy-input-px"
MAX_SIDE_PX = 8192

_Rule = tuple[str, Callable[[object], bool]]
"""What a value must be, in words and as a test."""


def document_faults(document: Mapping[str, object]) -> list[str]:
    """Everything wrong with a manifest's JSON object; empty when nothing is."""
    return [
        *_rule_faults(document, _FIELDS),
        *_label_faults(document.get("labels"), document.get("score_thresholds")),
        *_stride_faults(document),
        *_training_faults(document.get("training_data")),
    ]


def _rule_faults(
    fields: Mapping[str, object], rules: Mapping[str, _Rule], place: str = ""
) -> list[str]:
    faults = []
    for key, (words, holds) in rules.items():
        if key not in fields:
            faults.append(f"{place}{key} is missing")
        elif not holds(fields[key]):
            faults.append(f"{place}{key} must be {words}")
    return faults


def _label_faults(labels: object, thresholds: object) -> list[str]:
    if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
        return []  # the table has said so
    faults = [f"labels: {fault}" for fault in label_faults(labels)]
    if isinstance(thresholds, list) and len(thresholds) != len(labels):
        faults.append(
            f"score_thresholds must be one a label: {len(thresholds)} stand for {len(labels)}"
        )
    return faults


def _stride_faults(document: Mapping[str, object]) -> list[str]:
    multiple = document.get("stride_multiple")
    if not _is_integer(multiple) or multiple < 1:
        return []
    sides = {key: document.get(key) for key in ("input_width_px", "input_height_px")}
    return [
        f"{key} must be divisible by stride_multiple, but {side} is not by {multiple}"
        for key, side in sides.items()
        if _is_integer(side) and side % multiple
    ]


def _training_faults(entries: object) -> list[str]:
    if not isinstance(entries, list):
        return []
    return [
        fault
        for i, entry in enumerate(entries)
        if isinstance(entry, dict)
        for fault in _rule_faults(entry, _TRAINING_DATA, f"training_data[{i}].")
    ]


def _is_integer(value: object) -> TypeGuard[int]:
    return type(value) is int  # isinstance would take true and false for numbers


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, float):
        return math.isfinite(value)
    return _is_integer(value) and abs(value) < 1 << 63  # a longer one has no float


def _is_share(value: object) -> TypeGuard[float]:
    return _is_number(value) and 0 <= value <= 1


def _is_instant(value: object) -> bool:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        return False
    try:
        # Python 3.10 reads neither "Z" nor every length of a fraction.
        datetime.fromisoformat(re.sub(r"\.\d+", "", value).replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def _integer(low: int, high: int) -> _Rule:
    return f"a whole number from {low} to {high}", lambda v: _is_integer(v) and low <= v <= high


def _exactly(wanted: object) -> _Rule:
    return repr(wanted), lambda v: type(v) is type(wanted) and v == wanted


def _text(words: str, pattern: str) -> _Rule:
    return words, lambda v: isinstance(v, str) and re.fullmatch(pattern, v, re.DOTALL) is not None


def _list_of(words: str, holds: Callable[[object], bool]) -> _Rule:
    return f"a list of {words}", lambda v: isinstance(v, list) and all(map(holds, v))


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_NAME = _text(
    "1 to 64 letters, digits and '._+-', starting with a letter or digit",
    r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}",
)
_PROSE = _text("a text that is not blank", r".*\S.*")
_SHA256 = _text("a sha256 in 64 lower-case hex digits", r"[0-9a-f]{64}")
_SIDE_PX = _integer(1, MAX_SIDE_PX)

_FIELDS: Mapping[str, _Rule] = {
    "contract_version": _exactly(CONTRACT_VERSION),
    "model_name": _NAME,
    "model_version": _NAME,
    "labels": _list_of("texts", lambda v: isinstance(v, str)),
    "input_width_px": _SIDE_PX,
    "input_height_px": _SIDE_PX,
    "input_channels": _exactly(1),
    "stride_multiple": _SIDE_PX,
    "pad_value": _integer(0, 255),
    "normalisation_mean": ("a finite number", _is_number),
    "normalisation_std": ("a number above 0", lambda v: _is_number(v) and v > 0),
    "box_encoding": _exactly(BOX_ENCODING),
    "nms_iou_threshold": ("a number above 0 and up to 1", lambda v: _is_share(v) and v > 0),
    "score_thresholds": _list_of("numbers from 0 to 1", _is_share),
    "training_data": _list_of("objects", lambda v: isinstance(v, dict)),
    "metrics": (
        "an object of finite numbers",
        lambda v: isinstance(v, dict) and all(map(_is_number, v.values())),
    ),
    "metrics_split": _PROSE,
    "license_note": _PROSE,
    "created_at": ("a time in the form 2026-01-31T12:00:00Z", _is_instant),
    "train_config_sha256": _SHA256,
}
_TRAINING_DATA: Mapping[str, _Rule] = {
    "name": _PROSE,
    "split": _PROSE,
    "pictures": _integer(0, 10**9),
    "sha256": _SHA256,
}
