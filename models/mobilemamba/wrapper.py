"""The network as an artifact sees it: raw grey levels in, boxes and scores out.

Nothing in the network itself knows of export.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mobilemamba.detector import Detector


class ArtifactNetwork(nn.Module):
    """Normalisation, detector and box decoding as one module.

    Args:
        detector: trained.
        mean: of pixels / 255.
        std: likewise.
    """

    def __init__(self, detector: Detector, mean: float, std: float) -> None:
        super().__init__()
        self.detector = detector
        self.mean, self.std = mean, std

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [B, 1, H, W] -> boxes_xyxy [B, A, 4] in input pixels, scores [B, A, classes] in 0..1; both float32."""
        predictions = self.detector(normalise(images, self.mean, self.std))
        return predictions.boxes_xyxy(), torch.sigmoid(predictions.class_logits).transpose(1, 2)


def normalise(images: Tensor, mean: float, std: float) -> Tensor:
    """uint8 0..255 -> float32 ``(x / 255 - mean) / std``, as one multiplication and one addition."""
    return images.to(torch.float32) * (1 / (255 * std)) - mean / std
