"""The description of a run: frozen dataclasses read from TOML.

Unknown keys and wrong types are errors, all named at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from mobilemamba.augment import AugmentConfig
from mobilemamba.detector import SIDE_MULTIPLE, SIZES, Detector, build_detector
from mobilemamba.losses.contrastive import ContrastConfig
from mobilemamba.losses.detection import DetectionWeights
from mobilemamba.optimizers import OPTIMIZERS
from mobilemamba.ranges import number_faults

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


IDENTIFIER = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}"
)  # what a manifest takes as name or version


class ConfigError(Exception):
    """A description of a run that cannot be followed; the message names every fault."""


@dataclass(frozen=True)
class DataConfig:
    """Annotations and their folder of pictures; `$NAME` in a path is taken from the environment.

    `annotations` is a COCO JSON file, or a folder of Pascal VOC or YOLO files; without it no picture of
    the folder has a flaw.
    """

    name: str
    split: str
    images: str
    annotations: str = ""

    def paths(self) -> tuple[Path | None, Path]:
        """Annotations (None for clean pictures) and folder, variables filled in.

        Raises:
            ConfigError: a variable is not set.
        """
        annotations = expand_path(self.annotations) if self.annotations else None
        return annotations, expand_path(self.images)


@dataclass(frozen=True)
class ModelConfig:
    """What is trained and what its artifact will be called.

    `start` is where its weights come from: a checkpoint (.safetensors) or a released artifact (.onnx); by
    default they are made anew. `scan` and `wavelet` are for ablations, see `backbone.BackboneSize`.
    """

    size: str = "nano"
    name: str = "mobilemamba-nano"
    version: str = "0.1.0"
    license_note: str = ""
    start: str = ""
    scan: bool = True
    wavelet: bool = True

    def build(self, classes: int) -> Detector:
        """The network, freshly made."""
        return build_detector(self.size, classes, self.scan, self.wavelet)


@dataclass(frozen=True)
class InputConfig:
    """The network's input: sides in pixels, grey level of the padding, normalisation of pixels / 255."""

    width_px: int = 256
    height_px: int = 256
    pad_value: int = 114
    mean: float = 0.5
    std: float = 0.25


@dataclass(frozen=True)
class TrainingConfig:
    """The loop. Learning rates: linear warm-up to `learning_rate`, cosine down to `final_share` of it.

    `optimizer` is "adamw", or "muon" for Muon on all kernels that mix channels and AdamW on the rest.
    `mixed_precision` computes the network's convolutions and matrix products in bfloat16; weights, losses and
    the optimiser stay in float32.
    """

    epochs: int = 100
    batch_size: int = 16
    optimizer: str = "adamw"
    learning_rate: float = 0.002
    final_share: float = 0.02
    warmup_epochs: float = 2.0
    weight_decay: float = 0.05
    clip_norm: float = 10.0
    average_decay: float = 0.999
    plain_epochs: int = 10
    evaluate_every: int = 5
    mixed_precision: bool = False


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run depends on, besides the data and the code."""

    train: tuple[DataConfig, ...]
    val: DataConfig
    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    input: InputConfig = field(default_factory=InputConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: DetectionWeights = field(default_factory=DetectionWeights)
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    sha256: str = ""

    def already_begun(self) -> RunConfig:
        """The same run without `model.start`: a checkpoint holds all that it took from there, the file may be gone."""
        return dataclasses.replace(self, model=dataclasses.replace(self.model, start=""))


def load_config(path: Path) -> RunConfig:
    """Read and check a TOML file.

    Raises:
        ConfigError: unreadable, not TOML, unknown keys, wrong types, values out of range.
    """
    try:
        text = path.read_bytes()
        content = tomllib.loads(text.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    faults: list[str] = []
    if "sha256" in content:
        faults.append("sha256 is computed, not given")
    run = _build(RunConfig, content, "", faults)
    faults += _value_faults(run) if run is not None and not faults else []
    if faults or run is None:
        raise ConfigError(
            f"{path} has {len(faults)} fault(s):\n" + "\n".join(f"  - {f}" for f in faults)
        )
    return dataclasses.replace(run, sha256=hashlib.sha256(text).hexdigest())


def _build(kind: Any, content: dict[str, Any], place: str, faults: list[str]) -> Any:
    """An instance of the dataclass `kind` from a TOML table; None when it has faults."""
    hints = get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    before = len(faults)
    faults += [
        f"{place}{key} is unknown; known: {', '.join(fields)}"
        for key in content
        if key not in fields
    ]
    values = {}
    for name, entry in fields.items():
        if name in content:
            values[name] = _convert(hints[name], content[name], f"{place}{name}", faults)
        elif entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING:
            faults.append(f"{place}{name} is missing")
    return kind(**values) if len(faults) == before else None


def _convert(hint: Any, value: Any, place: str, faults: list[str]) -> Any:
    if dataclasses.is_dataclass(hint):
        if isinstance(value, dict):
            return _build(hint, value, f"{place}.", faults)
        faults.append(f"{place} must be a table")
        return None
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            faults.append(f"{place} must be a list")
            return None
        kinds = get_args(hint)
        if kinds[-1] is not Ellipsis and len(value) != len(kinds):
            faults.append(f"{place} must hold {len(kinds)} values")
            return None
        return tuple(_convert(kinds[0], v, f"{place}[{i}]", faults) for i, v in enumerate(value))
    if type(value) is int and abs(value) >= 1 << 63:  # more than TOML promises, or a float holds
        faults.append(f"{place} is too large")
        return None
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        faults.append(f"{place} must be a {hint.__name__}, not {value!r}")
    return value


def _value_faults(run: RunConfig) -> list[str]:
    sides = ("width_px", "height_px")
    low, high = run.augment.scale
    checks = {
        f"model.size must be one of {', '.join(SIZES)}": run.model.size in SIZES,
        f"training.optimizer must be one of {', '.join(OPTIMIZERS)}": (
            run.training.optimizer in OPTIMIZERS
        ),
        f"model.name and model.version must match {IDENTIFIER.pattern}": all(
            IDENTIFIER.fullmatch(text) for text in (run.model.name, run.model.version)
        ),
        "model.license_note must say on what terms the weights may be used": bool(
            run.model.license_note.strip()
        ),
        "at least one [[train]] data set is needed": len(run.train) > 0,
        "augment.scale must have the smaller number first": not low > high,
    }
    faults = [text for text, holds in checks.items() if not holds]
    faults += [
        f"input.{side} must be a positive multiple of {SIDE_MULTIPLE}"
        for side in sides
        if getattr(run.input, side) % SIDE_MULTIPLE
    ]
    places = {f"train[{i}]": entry for i, entry in enumerate(run.train)} | {"val": run.val}
    for place, entry in places.items():
        faults += _blank_faults(place, entry)
    return faults + number_faults(run)


def _blank_faults(place: str, entry: DataConfig) -> list[str]:
    """What manifest and card say of a data set: an artifact could not be exported without it."""
    faults = [
        f"{place}.{name} must be a text that is not blank"
        for name in ("name", "split", "images")
        if not getattr(entry, name).strip()
    ]
    if entry.annotations and not entry.annotations.strip():
        faults.append(f"{place}.annotations must be a path, or left out for clean pictures")
    return faults


def expand_path(path: str) -> Path:
    """`path` with `$NAME` taken from the environment.

    Raises:
        ConfigError: a variable is not set.
    """
    expanded = os.path.expandvars(path)
    unset = re.findall(r"\$\{?(\w+)", expanded)
    if unset:
        raise ConfigError(f"{path}: set the environment variable {unset[0]} to a folder")
    return Path(expanded)
