"""The model card of a release, as Markdown; every figure comes from the release that is described."""

from __future__ import annotations

import shlex
from pathlib import Path

from mobilemamba.evaluate import shown
from mobilemamba.operating_point import NO_CHOICE
from mobilemamba.release import Release, ReleaseRequest


def model_card(release: Release, request: ReleaseRequest, config_file: Path) -> str:
    """The text of ``<artifact>.md``."""
    return "\n".join(
        (
            *_head(release, request),
            *_data(release, request),
            *_figures(release),
            *_remake(release, request, config_file),
            "",
        )
    )


def _head(release: Release, request: ReleaseRequest) -> list[str]:
    manifest = release.manifest
    parity = f"differ by {release.parity:.1e} at most (batch 1, 3, 8; real and generated pictures)"
    made = (
        f"{manifest.created_at}, from {request.checkpoint.name} after epoch "
        f"{release.progress.epoch} of {request.config.training.epochs}{_blended(release)}"
    )
    return [
        f"# {manifest.model_name} {manifest.model_version}",
        "",
        f"A MobileMamba detector (`{request.config.model.size}`) for metal surfaces: grey picture in, "
        "boxes of flaws out.",
        "",
        "| | |",
        "|---|---|",
        f"| file | `{release.artifact.name}`, {release.artifact.stat().st_size / 1e6:.1f} MB |",
        f"| sha256 | `{release.sha256}` |",
        f"| classes | {', '.join(manifest.labels.names)} |",
        f"| input | {manifest.input_width_px}x{manifest.input_height_px} px, 1 channel, uint8; "
        "normalised inside |",
        "| output | boxes in input pixels and scores; "
        f"NMS (IoU {manifest.nms_iou_threshold:g}) outside |",
        f"| PyTorch and ONNX Runtime | {parity} |",
        f"| made | {made} |",
        f"| licence | {_cell(manifest.license_note)} |",
        "",
    ]


def _cell(text: str) -> str:
    """What a description of a run says, in one cell of a table: a line's end or a bar would end it."""
    return " ".join(text.split()).replace("|", r"\|")


def _blended(release: Release) -> str:
    mixed = release.progress.blend
    if mixed is None:
        return ""
    return (
        f": {mixed.share:g} of `{mixed.own}`, {1 - mixed.share:g} of `{mixed.other}` (sha256 "
        f"`{mixed.other_sha256[:16]}`)"
    )


def _data(release: Release, request: ReleaseRequest) -> list[str]:
    rows = [
        f"| train | {_cell(d.name)} | {_cell(d.split)} | {d.pictures} | `{d.sha256[:16]}` |"
        for d in release.manifest.training_data
    ]
    val, entry = release.val, request.config.val
    return [
        "## Data",
        "",
        "| use | set | split | pictures | sha256 of the annotations |",
        "|---|---|---|---|---|",
        *rows,
        f"| validation | {_cell(entry.name)} | {_cell(entry.split)} | {len(val.samples)} | `{val.sha256[:16]}` |",
        "",
        *_unknown_data(release),
    ]


def _unknown_data(release: Release) -> list[str]:
    if release.progress.data is not None:
        return []
    return [
        "These are the sets as they were found at the export. The checkpoint does not say what it was trained on.",
        "",
    ]


def _figures(release: Release) -> list[str]:
    m = release.metrics
    names = release.manifest.labels.names
    rows = [
        f"| {name} | {shown(m.ap50[name])} | {p.threshold:.3f} | {p.precision:.3f} | {shown(p.recall)} |"
        for name, p in zip(names, release.points, strict=True)
    ]
    by_size = (
        f"small (< 32² px) {shown(m.map50_small)}, medium (< 96²) {shown(m.map50_medium)}, "
        f"large {shown(m.map50_large)}"
    )
    alarms = (
        f"At these thresholds {release.false_alarms} of {release.clean} clean pictures are reported."
        if release.clean
        else "There were no clean pictures to count false alarms on."
    )
    return [
        f"## Figures on {' '.join(release.manifest.metrics_split.split())}",
        "",
        "Measured on the released file in ONNX Runtime.",
        *_chosen(release),
        *_seen(release),
        "",
        f"mAP50 **{m.map50:.3f}**, mAP50-95 {m.map50_95:.3f}; mAP50 by box area: {by_size}.",
        alarms,
        "",
        "| class | AP50 | suggested threshold | precision | recall (IoU 0.5) |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


def _chosen(release: Release) -> tuple[str, ...]:
    if not release.thresholds_origin:
        return (
            "Checkpoint and thresholds (best F1 for each class, clean pictures counted in) were chosen on",
            "these pictures, so expect a little less on new ones.",
            *_not_chosen(release),
        )
    return (
        "The checkpoint was chosen on these pictures, so expect a little less on new ones. Thresholds were",
        release.thresholds_origin,
    )


def _not_chosen(release: Release) -> list[str]:
    """Where no flaw of a class was found, at whatever score, `best_f1` has nothing to choose by."""
    named = zip(release.manifest.labels.names, release.points, strict=True)
    found_none = [name for name, point in named if not point.recall > 0]
    if not found_none:
        return []
    return [
        f"Not so for {', '.join(found_none)}: no such flaw was found among them, so {NO_CHOICE:g} stands there without "
        "a reason, and may let flaws pass."
    ]


def _seen(release: Release) -> list[str]:
    if not release.seen:
        return []
    return [
        f"{release.seen} of these {len(release.val.samples)} pictures were trained on as well: what is said of them "
        "promises nothing for new ones."
    ]


def _remake(release: Release, request: ReleaseRequest, config_file: Path) -> list[str]:
    run = f"runs/{release.manifest.model_name}"
    config, val = shlex.quote(config_file.as_posix()), request.config.val
    clean = " --clean CLEAN" if request.clean else ""
    given = " --thresholds THRESHOLDS" if request.thresholds is not None else ""
    artifact = shlex.quote(f"{request.folder.as_posix()}/{release.artifact.name}")
    folder = shlex.quote(request.folder.as_posix())
    measure = [
        f'mobilemamba evaluate {artifact} --coco "{val.annotations}" --images "{val.images}"{clean} --json'
    ]
    weights, mixed, mix = (
        shlex.quote(f"{run}/{request.checkpoint.name}"),
        release.progress.blend,
        [],
    )
    if mixed is not None:
        own = f"{config} {shlex.quote(f'{run}/{mixed.own}')} {shlex.quote(mixed.other)}"
        mix = [f"mobilemamba blend {own} --share {mixed.share:g} --out {weights}"]
    return [
        "## Make it again",
        "",
        f"`{config_file.as_posix()}` says which folders its variables stand for.",
        "",
        "```sh",
        f"mobilemamba train {config} --out {run}",
        *mix,
        f"mobilemamba export {config} {weights} --out {folder}{clean}{given}",
        *(measure if val.annotations else []),  # `evaluate` needs annotations
        "```",
    ]
