"""How many connections this process may hold open, as the machine sees it."""

from __future__ import annotations

import logging
import sys

logger = logging.getLogger(__name__)


def allow_descriptors(wanted: int) -> None:
    """Raise the soft limit of open files to that, as far as the hard one goes; say where it ends.

    The soft limit is mostly 1024, for the sake of programs that use select(2).
    """
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        logger.warning(
            "few_descriptors allowed=%d wanted=%d: raise the limit of open files (ulimit -Hn), or "
            "lower FLAWLINE_MAX_CONNECTIONS",
            allowed,
            wanted,
        )
