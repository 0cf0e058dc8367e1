"""What the OpenAPI document shows as examples."""

from __future__ import annotations

EXAMPLE_ID = "0f8fad5bd9cb469fa16570867728950e"

ANSWER_EXAMPLE = {
    "inspection_id": EXAMPLE_ID,
    "verdict": "NotOK",
    "reasons": [{"code": "defect", "detail": "1 scratches, highest score 0.87, threshold 0.35"}],
    "detections": [
        {
            "class": "scratches",
            "score": 0.87,
            "box": {"x_min": 12.5, "y_min": 40.0, "x_max": 31.0, "y_max": 188.5},
        }
    ],
    "frame": {"width": 200, "height": 200, "sha256": "9f86d081884c7d659a2feaa0c55ad015" * 2},
    "line": "press-2",
    "part_id": "SN-0042",
    "recipe": {"name": "default", "version": "1"},
    "model": {"name": "mobilemamba-nano-neu", "version": "1.0.0", "sha256": "60303ae22b998861" * 4},
    "created_at": "2026-01-31T08:15:30.123Z",
    "processing_times_ms": {
        "queue": 0.4,
        "decode": 0.9,
        "preprocess": 0.3,
        "inference": 11.2,
        "postprocess": 0.5,
        "total": 13.6,
    },
}


PART_EXAMPLE = {
    "inspection_id": "7c9e6679742540de944be07fc1f90ae7",
    "verdict": "NotOK",
    "line": "press-2",
    "part_id": "SN-0042",
    "frames": [ANSWER_EXAMPLE],
}

# A white square of 8 pixels: small enough to stand here, and yet a picture that is inspected.
EXAMPLE_PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADklEQVR42mP4DwUMlDEA98A/wa9cD80AAAAASUVORK5CYII="
