"""The file that `mobilemamba calibrate` prints: thresholds, and what is known of how they were chosen."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilemamba.calibrate import CalibrationError

CROSSVAL = "crossval"


@dataclass(frozen=True)
class Source:
    """Whose detections thresholds were chosen from.

    Attributes:
        name: of the artifact's file, or `CROSSVAL` for the networks of a cross-validation.
        sha256: of the artifact; empty for a cross-validation.
        config_sha256: of the TOML file that its network was trained by; empty where that is not known.
    """

    name: str
    sha256: str
    config_sha256: str


@dataclass(frozen=True)
class ChosenThresholds:
    """Thresholds by class name.

    Attributes:
        by_class: as ``mobilemamba calibrate`` prints them.
        promise: for what and on how many pictures they were chosen, a phrase.
        source: None where the file does not say.
        pictures: `pictures.picture_sha256` of each picture; empty where the file does not say.
    """

    by_class: dict[str, float]
    promise: str
    source: Source | None = None
    pictures: frozenset[str] = frozenset()

    @classmethod
    def load(cls, path: Path) -> ChosenThresholds:
        """Read what the command printed.

        Raises:
            CalibrationError: it cannot be read or is something else.
        """
        try:
            content = json.loads(path.read_bytes())
            by_class = {str(k): _threshold(k, v) for k, v in content["thresholds"].items()}
            source = Source(**content["source"]) if "source" in content else None
            pictures = frozenset(str(content.get("pictures_sha256", "")).split())
            return cls(by_class, promise_of(content), source, pictures)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CalibrationError(f"{path} is not what calibrate prints: {error}") from error

    def of(self, names: tuple[str, ...]) -> tuple[float, ...]:
        """In the order of `names`.

        Raises:
            CalibrationError: the classes differ.
        """
        if set(names) != set(self.by_class):
            raise CalibrationError(
                f"the thresholds are for {', '.join(self.by_class)}, the network knows {', '.join(names)}"
            )
        return tuple(self.by_class[name] for name in names)

    def origin(self, config_sha256: str, shown: Collection[str], trained: Collection[str]) -> str:
        """Sentences on how they were chosen, as far as the file tells; they start after "Thresholds were ".

        Args:
            config_sha256: of the network that gets them.
            shown: `picture_sha256` of the pictures that its figures are of.
            trained: and of those that it was trained on.
        """
        return f"{self.promise}{self._overlap(shown)}. {self._network(config_sha256, trained)}"

    def _overlap(self, shown: Collection[str]) -> str:
        if not self.pictures:
            return "; whether any of these were among them is not recorded"
        common = len(self.pictures.intersection(shown))
        return f"; {common} of them are among these" if common else ", none of these (by pixels)"

    def _network(self, config_sha256: str, trained: Collection[str]) -> str:
        if self.source is None:
            return "With which network is not recorded."
        known = len(self.pictures.intersection(trained))
        seen = known and self.source.name != CROSSVAL
        caution = f" {known} of the pictures were trained on, which promises nothing for others."
        return detections_of(self.source, config_sha256) + (caution if seen else "")


def detections_of(source: Source, config_sha256: str) -> str:
    """A sentence on what found what thresholds were chosen on; config_sha256: of the network that gets them."""
    kin = "this" if source.config_sha256 == config_sha256 else "another"
    if not source.config_sha256:
        kin = "an unrecorded"
    if source.name == CROSSVAL:
        return (
            f"The detections are those of a cross-validation of {kin} configuration: each picture's by a network that "
            "was not trained on it."
        )
    return (
        f"The detections are those of `{source.name}` (sha256 `{source.sha256[:16]}`), trained by {kin} "
        "configuration."
    )


def _threshold(name: str, value: Any) -> float:
    found = float(value)
    if not 0 <= found <= 1:
        raise ValueError(f"the threshold of {name} is not from 0 to 1")
    return found


def promise_of(content: dict[str, Any]) -> str:
    """For what and on how many pictures they were chosen, a phrase."""
    kind = "escape_rate" if "escape_rate" in content else "false_reject_rate"
    named = "an escape rate" if kind == "escape_rate" else "a false reject rate"
    return (
        f"chosen by `mobilemamba calibrate` for {named} of at most {content[kind]:g} "
        f"with {content['confidence']:g} confidence, on {content['defective']} pictures with flaws and "
        f"{content['clean']} without"
    )
