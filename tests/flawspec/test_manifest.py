from __future__ import annotations

import dataclasses
import json
import math
from types import MappingProxyType
from typing import Any

import pytest

from flawspec.errors import InvalidManifest, UnknownContract
from flawspec.labels import LabelSet
from flawspec.manifest import CONTRACT_VERSION, ArtifactManifest, TrainingData

HASH = "0123456789abcdef" * 4


def manifest(**changes: Any) -> ArtifactManifest:
    values: dict[str, Any] = {
        "contract_version": CONTRACT_VERSION,
        "model_name": "mobilemamba-nano-neu",
        "model_version": "0.1.0",
        "labels": LabelSet(("crazing", "inclusion")),
        "input_width_px": 256,
        "input_height_px": 192,
        "input_channels": 1,
        "stride_multiple": 64,
        "pad_value": 114,
        "normalisation_mean": 0.5,
        "normalisation_std": 0.25,
        "box_encoding": "xyxy-input-px",
        "nms_iou_threshold": 0.6,
        "score_thresholds": (0.3, 0.45),
        "training_data": (TrainingData("NEU-DET", "train", 1440, HASH),),
        "metrics": {"map50": 0.71, "map50_95": 0.35},
        "metrics_split": "val",
        "license_note": "Apache-2.0; trained on NEU-DET (mit Größe)",
        "created_at": "2026-01-31T12:00:00Z",
        "train_config_sha256": HASH,
    }
    return ArtifactManifest(**{**values, **changes})


def document(**changes: Any) -> dict[str, Any]:
    return {**json.loads(manifest().to_json()), **changes}


def faults_of(changed: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(InvalidManifest) as caught:
        ArtifactManifest.from_json(json.dumps(changed))
    return caught.value.faults


def test_a_manifest_returns_from_its_text_as_it_was() -> None:
    assert ArtifactManifest.from_json(manifest().to_json()) == manifest()


def test_equal_manifests_give_equal_text() -> None:
    text = manifest(metrics={"a": 1.0, "b": 2.0}).to_json()
    assert text == manifest(metrics=MappingProxyType({"b": 2.0, "a": 1.0})).to_json()
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert "Größe" in text


def test_keys_of_a_later_release_are_left_aside() -> None:
    later = document(carbon_g=12)
    later["training_data"][0]["weather"] = "fine"
    assert ArtifactManifest.from_json(json.dumps(later)) == manifest()


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_contract_is_refused_without_judging_the_rest(version: int) -> None:
    with pytest.raises(UnknownContract, match=f"version {version}, but this release reads"):
        ArtifactManifest.from_json(json.dumps({"contract_version": version}))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('"text"', "not a JSON object"),
    ],
)
def test_what_is_no_json_object_is_refused(text: str, fault: str) -> None:
    with pytest.raises(InvalidManifest, match=fault):
        ArtifactManifest.from_json(text)


INVALID = [
    ("contract_version", "1"),
    ("contract_version", True),
    ("contract_version", 1.0),
    ("model_name", ""),
    ("model_name", "../etc"),
    ("model_name", "a" * 65),
    ("model_version", 1),
    ("labels", "crazing"),
    ("labels", [1, 2]),
    ("labels", []),
    ("labels", ["Crazing", "inclusion"]),
    ("labels", ["crazing", "crazing"]),
    ("input_width_px", 0),
    ("input_width_px", 250),  # not divisible by 64
    ("input_width_px", 8256),
    ("input_height_px", 192.0),
    ("input_height_px", True),
    ("input_channels", 3),
    ("stride_multiple", 0),
    ("stride_multiple", "64"),
    ("pad_value", 256),
    ("pad_value", -1),
    ("normalisation_mean", math.nan),
    ("normalisation_mean", "0.5"),
    ("normalisation_std", 0),
    ("normalisation_std", math.inf),
    ("box_encoding", "cxcywh"),
    ("nms_iou_threshold", 0),
    ("nms_iou_threshold", 1.01),
    ("score_thresholds", [0.3]),
    ("score_thresholds", [0.3, 1.2]),
    ("score_thresholds", [0.3, None]),
    ("score_thresholds", 0.3),
    ("training_data", {}),
    ("training_data", ["NEU-DET"]),
    ("metrics", []),
    ("metrics", {"map50": "high"}),
    ("metrics", {"map50": math.nan}),
    ("metrics_split", " "),
    ("license_note", None),
    ("created_at", "yesterday"),
    ("created_at", "2026-02-30T12:00:00Z"),
    ("created_at", "2026-01-31T12:00:00"),  # no offset
    ("created_at", 1769860800),
    ("train_config_sha256", HASH.upper()),
    ("train_config_sha256", "none"),
]


@pytest.mark.parametrize(("key", "value"), INVALID)
def test_a_value_that_breaks_its_rule_is_named(key: str, value: object) -> None:
    faults = faults_of(document(**{key: value}))
    assert any(key in fault for fault in faults)


@pytest.mark.parametrize("key", [f.name for f in dataclasses.fields(ArtifactManifest)])
def test_a_missing_key_is_named(key: str) -> None:
    changed = document()
    del changed[key]
    assert faults_of(changed) == (f"{key} is missing",)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({}, "training_data[1].name is missing"),
        ({"name": "x", "split": "y", "pictures": -1, "sha256": HASH}, "training_data[1].pictures"),
        ({"name": "x", "split": "y", "pictures": 1, "sha256": "?"}, "training_data[1].sha256 must"),
    ],
)
def test_training_data_is_judged_entry_by_entry(entry: dict[str, Any], fault: str) -> None:
    changed = document()
    changed["training_data"].append(entry)
    assert faults_of(changed)[0].startswith(fault)


def test_all_faults_are_named_at_once() -> None:
    changed = document(
        model_name="", labels=["A"], pad_value=300, input_width_px=100, created_at="today"
    )
    del changed["metrics"]
    changed["training_data"][0]["sha256"] = ""
    faults = faults_of(changed)
    named = ["model_name", "'A'", "pad_value", "input_width_px", "created_at", "metrics"]
    for word in [*named, "score_thresholds", "training_data[0].sha256"]:
        assert sum(word in fault for fault in faults) == 1, (word, faults)
    assert len(faults) == 8


def test_the_message_holds_every_fault() -> None:
    with pytest.raises(InvalidManifest, match=r"pad_value must .*; metrics_split must .*\.$"):
        ArtifactManifest.from_json(json.dumps(document(pad_value=-1, metrics_split="")))


@pytest.mark.parametrize(
    "created_at",
    ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+01:00", "2026-01-31T12:00:00.123456789-05:30"],
)
def test_times_with_any_offset_and_fraction(created_at: str) -> None:
    assert manifest(created_at=created_at).created_at == created_at


def test_what_writes_a_manifest_obeys_the_same_rules() -> None:
    with pytest.raises(InvalidManifest) as caught:
        manifest(pad_value=999, score_thresholds=(0.1,), metrics={"map50": math.nan})
    assert len(caught.value.faults) == 3


def test_a_number_too_long_for_a_float_is_a_fault_and_no_crash() -> None:
    text = json.dumps(json.loads(manifest().to_json()) | {"normalisation_mean": 10**400})
    with pytest.raises(InvalidManifest, match="normalisation_mean"):
        ArtifactManifest.from_json(text)
