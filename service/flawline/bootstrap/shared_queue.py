"""The queue in Redis, made from settings. It brings the client's library: import it where there is such a queue."""

from __future__ import annotations

from collections.abc import Callable

from flawline.adapters.redis_queue import RedisQueue, RedisQueueOptions
from flawline.adapters.system_clock import SystemClock
from flawline.bootstrap.starting import StartupError
from flawline.settings import FlawlineSettings

# Without the address, or what its parser says of it: both may show the password.
_UNUSABLE = (
    "queue (FLAWLINE_QUEUE) cannot be used: it is no address like redis://:PASSWORD@host:6379/0 or "
    "unix:///path/to/socket, or names its database by something else than a number (for a name of your own there is "
    "FLAWLINE_QUEUE_NAMESPACE), or has an option behind a ? that redis-py does not know, or that is Flawline's to "
    "choose (protocol, decode_responses, max_connections, and time limits, for which there is "
    "FLAWLINE_QUEUE_TIMEOUT_S); in a password write / as %2F, # as %23, ? as %3F, @ as %40."
)


def queue_in_redis(
    settings: FlawlineSettings, clock: SystemClock, count: Callable[[str, int], None]
) -> RedisQueue:
    """Not yet started; count: told what happens to jobs. Raises StartupError for an address that is none."""
    options = RedisQueueOptions(
        url=settings.queue,
        capacity=settings.queue_capacity,
        line_capacity=settings.most_of_one_line,
        most_at_once=settings.max_frames,
        namespace=settings.queue_namespace,
        lease_s=settings.lease_s,
        max_deliveries=settings.max_deliveries,
        inline_picture_bytes=settings.inline_picture_bytes,
        command_timeout_s=settings.queue_timeout_s,
    )
    try:
        return RedisQueue(options, clock, count)
    except ValueError as error:
        raise StartupError(_UNUSABLE) from error
