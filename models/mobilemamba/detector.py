"""The detector: backbone, neck and head, and one builder per released size."""

from __future__ import annotations

from torch import Tensor, nn

from mobilemamba.backbone import Backbone, BackboneSize
from mobilemamba.head import Head, Predictions
from mobilemamba.neck import Neck

SIDE_MULTIPLE = (
    64  # of the input: the coarsest map (stride 32) must have even sides for the Haar transform
)


class Detector(nn.Module):
    """[B, 1, H, W] float pictures, normalised, H and W multiples of 64 -> `Predictions`."""

    def __init__(self, backbone_size: BackboneSize, neck_channels: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.backbone = Backbone(backbone_size)
        self.neck = Neck(backbone_size.widths, neck_channels)
        self.head = Head(neck_channels, classes)

    def forward(self, pictures: Tensor) -> Predictions:
        """See the class."""
        return self.head(self.neck(self.backbone(pictures)))


def nano(classes: int, scan: bool = True, wavelet: bool = True) -> Detector:
    """The edge size: at most 1.5 M parameters and 0.5 GFLOP at 256x256."""
    size = BackboneSize((48, 96, 192), (1, 2, 2), heads=4, state_size=8, scan=scan, wavelet=wavelet)
    return Detector(size, neck_channels=64, classes=classes)


def small(classes: int, scan: bool = True, wavelet: bool = True) -> Detector:
    """The size for a server's CPU: about 4 M parameters and 1.6 GFLOP at 256x256."""
    size = BackboneSize(
        (96, 192, 320), (1, 3, 2), heads=6, state_size=8, scan=scan, wavelet=wavelet
    )
    return Detector(size, neck_channels=96, classes=classes)


def base(classes: int, scan: bool = True, wavelet: bool = True) -> Detector:
    """The size to distil from, with the widths and depths of MobileMamba-T2: about 6 M parameters and 2.7 GFLOP."""
    size = BackboneSize(
        (144, 272, 368), (1, 2, 2), heads=8, state_size=8, scan=scan, wavelet=wavelet
    )
    return Detector(size, neck_channels=128, classes=classes)


SIZES = {"nano": nano, "small": small, "base": base}


def build_detector(size: str, classes: int, scan: bool = True, wavelet: bool = True) -> Detector:
    """The detector of a named size; `scan` and `wavelet` as in `BackboneSize`.

    Raises:
        ValueError: the size is unknown.
    """
    if size not in SIZES:
        raise ValueError(f"model size {size!r} is unknown; known: {', '.join(SIZES)}")
    return SIZES[size](classes, scan, wavelet)
