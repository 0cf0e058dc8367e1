"""Train and time YOLO peers beside our networks (README.md here says in which environment)."""

from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses
import json
import os
from pathlib import Path

os.environ.setdefault("YOLO_OFFLINE", "true")  # it would ask its makers for updates

import numpy as np
import torch
from peer_network import PeerNetwork, TorchvisionStandIn
from ultralytics import YOLO

from flawspec.letterbox import Letterbox
from mobilemamba.complexity import times_ms
from mobilemamba.config import InputConfig, RunConfig, load_config
from mobilemamba.dataset import Dataset, Sample
from mobilemamba.detector import SIZES, build_detector
from mobilemamba.evaluate import (
    NMS_IOU_THRESHOLD,
    InputGeometry,
    Metrics,
    detect,
    measure,
    network_predictor,
)
from mobilemamba.export import artifact_predictor, textured_pictures, to_onnx
from mobilemamba.sets import load_sets
from mobilemamba.strict_json import to_json
from mobilemamba.wrapper import ArtifactNetwork

PEERS = ("yolo11n", "yolov8n")
CURVE, RESULT, BEST = "metrics.jsonl", "result.json", "best.onnx"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    training = verbs.add_parser(
        "train", help="train a peer on what one of our configurations names"
    )
    training.add_argument("--config", type=Path, required=True)
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--seed", type=int, help="instead of the configuration's")
    training.add_argument("--epochs", type=int, help="instead of the configuration's")
    training.add_argument("--device", default="cpu")
    training.add_argument(
        "--bfloat16",
        action="store_true",
        help="the network's passes in bfloat16, losses and weights in float32; the framework mixes "
        "precisions by default too, but on GPUs only",
    )
    timing = verbs.add_parser("time", help="our time in ONNX Runtime by a peer's, one thread")
    timing.add_argument("--size", choices=tuple(SIZES), default="nano")
    timing.add_argument("--width", type=int, default=256)
    timing.add_argument("--height", type=int, default=256)
    timing.add_argument("--rounds", type=int, default=60)
    for verb in (training, timing):
        verb.add_argument("--peer", choices=PEERS, default=PEERS[0])
    given = parser.parse_args()
    compare_times(given) if given.verb == "time" else train(given)


def compare_times(given: argparse.Namespace) -> None:
    """Weights are fresh: the time does not depend on them."""
    classes = 6
    ours = ArtifactNetwork(build_detector(given.size, classes).eval(), 0.5, 0.25).eval()
    peer = YOLO(f"{given.peer}.yaml").model
    if peer.model[-1].nc != classes:
        peer = type(peer)(f"{given.peer}.yaml", nc=classes, verbose=False)
    theirs = PeerNetwork(peer.eval().fuse()).eval()
    predictors = [
        artifact_predictor(
            to_onnx(network, given.height, given.width).SerializeToString(), threads=1
        )
        for network in (ours, theirs)
    ]
    picture = textured_pictures(1, given.height, given.width, seed=0)
    mine, other = times_ms(predictors, picture, given.rounds)
    print(
        f"{given.size} {mine:.2f} ms, {given.peer} {other:.2f} ms at {given.width}x{given.height}: "
        f"ratio {mine / other:.3f}"
    )


def train(given: argparse.Namespace) -> None:
    config = load_config(given.config)
    epochs = given.epochs or config.training.epochs
    seed = config.seed if given.seed is None else given.seed
    config = dataclasses.replace(
        config, seed=seed, training=dataclasses.replace(config.training, epochs=epochs)
    )
    *training, val = load_sets(config)
    given.out.mkdir(parents=True, exist_ok=True)
    data = write_yolo_folder(given.out / "data", training, val, config.input)
    curve = Curve(given.out, config, val, torch.device(given.device))
    last = given.out / "run" / "weights" / "last.pt"
    yolo = YOLO(str(last) if last.exists() else f"{given.peer}.yaml")
    stand_in = TorchvisionStandIn()
    yolo.add_callback("on_pretrain_routine_start", stand_in.put)
    yolo.add_callback("on_pretrain_routine_end", stand_in.take_away)
    yolo.add_callback("on_train_epoch_end", curve.after_epoch)
    if given.bfloat16:
        yolo.add_callback("on_train_start", train_in_bfloat16)
    if not curve.complete:
        with contextlib.suppress(AllEpochsDone):
            if last.exists():
                yolo.train(resume=True)
            else:
                yolo.train(data=str(data), **settings(config, given))
    finish(given, config, val, curve)


def settings(config: RunConfig, given: argparse.Namespace) -> dict[str, object]:
    """What is ours to say; everything else is the framework's default."""
    size = config.input
    return {
        "epochs": config.training.epochs,
        "batch": config.training.batch_size,
        "imgsz": max(size.width_px, size.height_px),
        "rect": size.width_px != size.height_px,
        "seed": config.seed,
        "pretrained": False,
        "val": False,  # our evaluator chooses the checkpoint
        "plots": False,
        "patience": 0,
        "workers": 2,
        "device": given.device,
        "project": str(given.out.resolve()),
        "name": "run",
        "exist_ok": True,
    }


def train_in_bfloat16(trainer: object) -> None:
    """A callback of the framework's trainer: 1.6 times its speed on a CPU that knows bfloat16."""
    network = trainer.model  # type: ignore[attr-defined]
    network.to(memory_format=torch.channels_last)
    in_float32 = network.predict

    def predict(pictures: torch.Tensor, *rest: object, **named: object) -> object:
        with torch.autocast(pictures.device.type, torch.bfloat16):
            found = in_float32(
                pictures.contiguous(memory_format=torch.channels_last), *rest, **named
            )
        return as_float32(found)

    network.predict = predict


def as_float32(found: object) -> object:
    """Every tensor in what a network gives, whatever it is nested in."""
    if isinstance(found, torch.Tensor):
        return found.float() if found.is_floating_point() else found
    if isinstance(found, dict):
        return {name: as_float32(part) for name, part in found.items()}
    if isinstance(found, list | tuple):
        return type(found)(as_float32(part) for part in found)
    return found


class AllEpochsDone(Exception):  # noqa: N818 - no error
    """Ends the framework's trainer before it validates once more in its own way, which needs torchvision."""


class Curve:
    """Measures a peer's averaged weights as ours are measured, keeps the best, writes a line an epoch."""

    def __init__(self, folder: Path, config: RunConfig, val: Dataset, device: torch.device) -> None:
        self._folder, self._config, self._val, self._device = folder, config, val, device
        path = folder / CURVE
        self.lines = (
            [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        )

    @property
    def complete(self) -> bool:
        """Whether the last epoch has been."""
        return bool(self.lines) and self.lines[-1]["epoch"] >= self._config.training.epochs

    def after_epoch(self, trainer: object) -> None:
        """A callback of the framework's trainer."""
        epoch = trainer.epoch + 1  # type: ignore[attr-defined]
        self.lines = [line for line in self.lines if line["epoch"] < epoch]
        settings = self._config.training
        metrics = None
        if epoch % settings.evaluate_every == 0 or epoch == settings.epochs:
            network = copy.deepcopy(trainer.ema.ema).float().eval()  # type: ignore[attr-defined]
            metrics = measured(PeerNetwork(network), self._config, self._val, self._device)
            best = max((e["metrics"]["map50"] for e in self.lines if e["metrics"]), default=-1.0)
            if metrics.map50 > best:
                size = self._config.input
                graph = to_onnx(
                    PeerNetwork(network.cpu().fuse()).eval(), size.height_px, size.width_px
                )
                (self._folder / BEST).write_bytes(graph.SerializeToString())
        losses = {k: float(v) for k, v in dict(trainer.tloss).items()}  # type: ignore[attr-defined]
        entry = {
            "epoch": epoch,
            "losses": losses,
            "metrics": metrics and dataclasses.asdict(metrics),
        }
        self.lines.append(entry)
        (self._folder / CURVE).write_text("".join(to_json(line) + "\n" for line in self.lines))
        shown = f"; mAP50 {metrics.map50:.4f}" if metrics else ""
        print(f"epoch {epoch}: {losses}{shown}", flush=True)
        if self.complete:
            raise AllEpochsDone


def measured(
    network: PeerNetwork, config: RunConfig, val: Dataset, device: torch.device
) -> Metrics:
    predict = network_predictor(network.to(device).eval(), device)
    return measure(val, list(detect(val.samples, predict, geometry_of(config))))


def geometry_of(config: RunConfig) -> InputGeometry:
    size = config.input
    return InputGeometry(size.width_px, size.height_px, size.pad_value, NMS_IOU_THRESHOLD)


def finish(given: argparse.Namespace, config: RunConfig, val: Dataset, curve: Curve) -> None:
    predict = artifact_predictor(given.out / BEST)
    metrics = measure(val, list(detect(val.samples, predict, geometry_of(config))))
    result = {
        "peer": given.peer,
        "trainer": "ultralytics' own, its defaults, from scratch",
        "settings": {
            k: v for k, v in settings(config, given).items() if k not in ("project", "name")
        },
        "precision": "bfloat16 passes, float32 losses and weights"
        if given.bfloat16
        else "the framework's default",
        "config": given.config.name,
        "config_sha256": config.sha256,
        "checkpoint": f"best mAP50 on {config.val.name} {config.val.split}, "
        f"every {config.training.evaluate_every} epochs",
        "metrics": dataclasses.asdict(metrics),
        "curve": [[e["epoch"], e["metrics"]["map50"]] for e in curve.lines if e["metrics"]],
    }
    (given.out / RESULT).write_text(to_json(result, indent=1))
    print(f"{given.peer}: mAP50 {metrics.map50:.4f}, {given.out / RESULT}")


def write_yolo_folder(
    folder: Path, training: list[Dataset], val: Dataset, size: InputConfig
) -> Path:
    """The samples as the framework wants them: pictures, a text file each, and a description; returns the latter.

    For a rectangular input they are laid into it here. The framework would scale them in another way than the evaluator
    does, and it never shuffles pictures of more than one shape: those without a flaw would end every epoch.
    """
    from PIL import Image

    lays_in = size.width_px != size.height_px
    sides = {"train": [s for d in training for s in d.samples], "val": list(val.samples)}
    for side, samples in sides.items():
        for kind in ("images", "labels"):
            (folder / kind / side).mkdir(parents=True, exist_ok=True)
        for number, given in enumerate(samples):
            sample = laid_in(given, size) if lays_in else given
            picture = folder / "images" / side / f"{number:06d}.png"
            if not picture.exists():
                Image.fromarray(sample.grey).save(picture)
            (folder / "labels" / side / f"{number:06d}.txt").write_text(yolo_lines(sample))
    names = "".join(f"  {i}: {name}\n" for i, name in enumerate(val.labels.names))
    path = folder / "data.yaml"
    path.write_text(
        f"path: {folder.resolve()}\ntrain: images/train\nval: images/val\nnames:\n{names}"
    )
    return path


def laid_in(sample: Sample, size: InputConfig) -> Sample:
    """The sample as the network sees it."""
    height_px, width_px = sample.shape
    letterbox = Letterbox.fit(width_px, height_px, size.width_px, size.height_px)
    grey = np.empty((size.height_px, size.width_px), np.uint8)
    letterbox.apply_into(sample.grey, size.pad_value, grey)
    return dataclasses.replace(
        sample, pixels=grey, boxes_xyxy=letterbox.to_input(sample.boxes_xyxy)
    )


def yolo_lines(sample: Sample) -> str:
    height, width = sample.shape
    lines = []
    for (x0, y0, x1, y1), class_id in zip(sample.boxes_xyxy, sample.class_ids, strict=True):
        centre = ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height)
        size = ((x1 - x0) / width, (y1 - y0) / height)
        lines.append(" ".join([str(class_id), *(f"{v:.6f}" for v in (*centre, *size))]) + "\n")
    return "".join(lines)


if __name__ == "__main__":
    main()
