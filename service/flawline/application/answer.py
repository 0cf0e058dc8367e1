"""An answer under an idempotency key."""

from __future__ import annotations

from dataclasses import dataclass

from flawline.core.values import Inspection


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer and what was asked. `fingerprint`: of picture, recipe and min_score."""

    fingerprint: str
    inspection: Inspection
