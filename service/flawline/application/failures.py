"""An internal error is logged under an id; only the id leaves the process."""

from __future__ import annotations

import logging
import uuid

from flawline.application.job import Failed, Lease

logger = logging.getLogger(__name__)


def new_error_id() -> str:
    """A short id that finds the log line again."""
    return uuid.uuid4().hex[:12]


def failure_of(lease: Lease, stage: str, error: Exception) -> Failed:
    """Log the error, and make the outcome that names the log line."""
    error_id = new_error_id()
    logger.error(
        "%s_failed job_id=%s error_id=%s traceparent=%s",
        stage,
        lease.job.job_id,
        error_id,
        lease.job.traceparent,
        exc_info=error,
    )
    return Failed(error_id)
