"""A YOLO network behind the interface of our artifacts, so that one evaluator and one clock serve both."""

from __future__ import annotations

import importlib
import sys
import types

import torch
from torch import Tensor, nn


class PeerNetwork(nn.Module):
    """Raw grey levels in, boxes and scores out, as `mobilemamba.wrapper.ArtifactNetwork`.

    Args:
        network: a detection model of `ultralytics`; in evaluation mode it gives [B, 4 + classes, A], boxes as centre
            and size in input pixels.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [B, 1, H, W] -> boxes_xyxy [B, A, 4], scores [B, A, classes]; both float32."""
        grey = images.to(torch.float32) * (1 / 255)
        found = self.network(torch.cat((grey, grey, grey), dim=1))
        found = found[0] if isinstance(found, tuple | list) else found
        centre, size, scores = found[:, :2], found[:, 2:4], found[:, 4:]
        boxes = torch.cat((centre - size / 2, centre + size / 2), dim=1)
        return boxes.transpose(1, 2), scores.transpose(1, 2)


class TorchvisionStandIn:
    """An empty module where torchvision's wheel does not load, as beside a CPU build of torch.

    The framework's trainer imports it while it prepares, for its own validation, which is not used here;
    the ONNX exporter must not meet the stand-in. Both methods are callbacks of the trainer.
    """

    def put(self, _: object) -> None:
        """Stand in, if need be."""
        try:
            importlib.import_module("torchvision")
        except (ImportError, RuntimeError):
            self.take_away(_)
            sys.modules["torchvision"] = types.ModuleType("torchvision")

    def take_away(self, _: object) -> None:
        """Leave nothing behind."""
        found = sys.modules.get("torchvision")
        if getattr(found, "__spec__", None) is None:
            for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
                del sys.modules[name]
