"""An internal error is logged under an id; only the id leaves the process."""

from __future__ import annotations

import logging
import uuid

from flawline.application.inspection_log import trace_id_of
from flawline.application.job import Failed, Lease

logger = logging.getLogger(__name__)


def new_error_id() -> str:
    """A short id that finds the log line again."""
    return uuid.uuid4().hex[:12]


def failure_of(lease: Lease, stage: str, error: Exception) -> Failed:
    """Log the error, and make the outcome that names the log line."""
    error_id, job = new_error_id(), lease.job
    logger.error(
        "%s_failed inspection_id=%s part_id=%s line=%s trace_id=%s error_id=%s",
        stage,
        job.job_id,
        job.part_id,
        job.line,
        trace_id_of(job.traceparent),
        error_id,
        exc_info=error,
    )
    return Failed(error_id)
