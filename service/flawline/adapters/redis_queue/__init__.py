"""JobQueue on Redis Streams: many workers, nothing lost when one of them dies."""

from flawline.adapters.redis_queue.connection import RedisError, RedisTimeoutError
from flawline.adapters.redis_queue.dead_letters import DeadLetter, DeadLetters
from flawline.adapters.redis_queue.options import RedisQueueOptions
from flawline.adapters.redis_queue.queue import RedisQueue
from flawline.adapters.redis_queue.state import QueueState

__all__ = [
    "DeadLetter",
    "DeadLetters",
    "QueueState",
    "RedisError",
    "RedisQueue",
    "RedisQueueOptions",
    "RedisTimeoutError",
]
