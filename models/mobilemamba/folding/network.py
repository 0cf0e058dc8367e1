"""A whole network in the form that is exported."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mobilemamba.blocks import AxialScan, Mrffi
from mobilemamba.folding.head import FoldedHead
from mobilemamba.folding.mixer import FoldedMixer
from mobilemamba.folding.neck import FoldedNeck
from mobilemamba.folding.stem import folded_residual, folded_stem, is_residual_depthwise
from mobilemamba.layers import Residual, SqueezeExcite
from mobilemamba.wrapper import ArtifactNetwork


class PooledExcite(nn.Module):
    """A `SqueezeExcite` whose mean is a pooling, which ONNX Runtime does in its own layout."""

    def __init__(self, module: SqueezeExcite) -> None:
        super().__init__()
        self.gate = module.gate

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return x * self.gate(F.avg_pool2d(x, (x.shape[-2], x.shape[-1])))


class FoldedNetwork(nn.Module):
    """What an `ArtifactNetwork` computes in evaluation mode; `network` is left as it is."""

    def __init__(self, network: ArtifactNetwork) -> None:
        super().__init__()
        self.detector = copy.deepcopy(network.detector)
        _fold_within(self.detector)
        scale = input_scale(network.std)
        self.offset = -255 * network.mean
        self.detector.backbone.stem = folded_stem(self.detector.backbone.stem, scale)
        self.detector.neck = FoldedNeck(self.detector.neck)  # type: ignore[assignment]
        self.detector.head = FoldedHead(self.detector.head)  # type: ignore[assignment]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """As `ArtifactNetwork.forward`."""
        detector = self.detector
        return detector.head(
            detector.neck(detector.backbone(images.to(torch.float32) + self.offset))
        )


def input_scale(std: float) -> float:
    """What the normalisation multiplies grey levels by; the stem takes it over."""
    return 1 / (255 * std)


def _fold_within(module: nn.Module) -> None:
    """Replace what can be replaced in `module` and below."""
    for name, child in module.named_children():
        if (
            isinstance(child, Mrffi)
            and isinstance(child.scan, AxialScan)
            and child.wavelet is not None
        ):
            setattr(module, name, FoldedMixer(child))
        elif isinstance(child, Residual) and is_residual_depthwise(child):
            setattr(module, name, folded_residual(child))
        elif isinstance(child, SqueezeExcite):
            setattr(module, name, PooledExcite(child))
        else:
            _fold_within(child)


def fold(network: ArtifactNetwork) -> nn.Module:
    """The same function of the same pictures, to be exported; `network`, in evaluation mode, is left as it is."""
    return FoldedNetwork(network).eval()
