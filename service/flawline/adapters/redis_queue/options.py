"""What can be chosen of the queue in Redis."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RedisQueueOptions:
    """What can be chosen.

    capacity, line_capacity: how many jobs may wait, and of one line. lease_s: a worker that does
    not extend its lease for so long has lost it; longer than the longest batch, or extended.
    max_deliveries: a job that was lent so often and never resolved kills its workers. Pictures of
    more than `inline_picture_bytes` lie under a key of their own. command_timeout_s: how long a
    server that does not answer is waited for. most_at_once: see `Priority.room_of`.
    """

    url: str
    capacity: int
    line_capacity: int
    namespace: str = "flawline"
    lease_s: float = 5.0
    max_deliveries: int = 3
    inline_picture_bytes: int = 64 * 1024
    command_timeout_s: float = 1.0
    most_at_once: int = 1
