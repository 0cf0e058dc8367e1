"""An internal error is logged under an id; only the id leaves the process."""

from __future__ import annotations

import uuid


def new_error_id() -> str:
    """A short id that finds the log line again."""
    return uuid.uuid4().hex[:12]
