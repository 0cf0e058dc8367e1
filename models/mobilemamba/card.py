"""The model card of a release, as Markdown; every figure comes from the release that is described."""

from __future__ import annotations

from mobilemamba.config import RunConfig
from mobilemamba.release import Release


def model_card(release: Release, config: RunConfig, config_name: str) -> str:
    """The text of ``<artifact>.md``."""
    return "\n".join(
        (
            *_head(release, config),
            *_data(release, config),
            *_figures(release),
            *_remake(release, config_name),
            "",
        )
    )


def _head(release: Release, config: RunConfig) -> list[str]:
    manifest = release.manifest
    parity = f"differ by {release.parity:.1e} at most (batch 1, 3, 8; real and generated pictures)"
    epoch = f"epoch {release.progress.epoch} of {config.training.epochs} (best mAP50 on validation)"
    return [
        f"# {manifest.model_name} {manifest.model_version}",
        "",
        f"A MobileMamba detector (`{config.model.size}`) for metal surfaces: grey picture in, boxes of flaws out.",
        "",
        "| | |",
        "|---|---|",
        f"| file | `{release.artifact.name}`, {release.artifact.stat().st_size / 1e6:.1f} MB |",
        f"| sha256 | `{release.sha256}` |",
        f"| classes | {', '.join(manifest.labels.names)} |",
        f"| input | {manifest.input_width_px}x{manifest.input_height_px} px, 1 channel, uint8; normalised inside |",
        f"| output | boxes in input pixels and scores; NMS (IoU {manifest.nms_iou_threshold:g}) outside |",
        f"| PyTorch to ONNX Runtime | {parity} |",
        f"| made | {manifest.created_at}, from {epoch} |",
        f"| licence | {manifest.license_note or 'none stated'} |",
        "",
    ]


def _data(release: Release, config: RunConfig) -> list[str]:
    rows = [
        f"| train | {d.name} | {d.split} | {d.pictures} | `{d.sha256[:16]}` |"
        for d in release.manifest.training_data
    ]
    return [
        "## Data",
        "",
        "| use | set | split | pictures | annotations sha256 |",
        "|---|---|---|---|---|",
        *rows,
        f"| validation | {config.val.name} | {config.val.split} | | |",
        "",
    ]


def _figures(release: Release) -> list[str]:
    m = release.metrics
    names = release.manifest.labels.names
    rows = [
        f"| {name} | {m.ap50[name]:.3f} | {p.threshold:.3f} | {p.precision:.3f} | {p.recall:.3f} |"
        for name, p in zip(names, release.points, strict=True)
    ]
    by_size = (
        f"small (< 32² px) {m.map50_small:.3f}, medium (< 96²) {m.map50_medium:.3f}, "
        f"large {m.map50_large:.3f}"
    )
    return [
        f"## Figures on {release.manifest.metrics_split}",
        "",
        "Measured on the released file in ONNX Runtime. The checkpoint and the thresholds (best F1 for",
        "each class) were chosen on this same split, so expect a little less on new pictures.",
        "",
        f"mAP50 **{m.map50:.3f}**, mAP50-95 {m.map50_95:.3f}; mAP50 by box area: {by_size}.",
        "",
        "| class | AP50 | suggested threshold | precision | recall (IoU 0.5) |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


def _remake(release: Release, config_name: str) -> list[str]:
    run = f"runs/{release.manifest.model_name}"
    artifact = f"models/artifacts/{release.artifact.name}"
    data = "--coco $DATA/neu-det/val.json --images $DATA/neu-det/images"
    return [
        "## Make it again",
        "",
        "`$DATA` is the folder that holds the data sets, `$GENERATED` one for generated frames (the",
        "configuration says with which command they were written).",
        "",
        "```sh",
        f"mobilemamba train {config_name} --out {run}",
        f"mobilemamba export {config_name} {run}/best.safetensors --out models/artifacts",
        f"mobilemamba evaluate {artifact} {data} --json",
        "```",
    ]
