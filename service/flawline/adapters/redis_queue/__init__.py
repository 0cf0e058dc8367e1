"""JobQueue on Redis Streams: many workers, nothing lost when one of them dies."""

from flawline.adapters.redis_queue.queue import QueueState, RedisQueue, RedisQueueOptions

__all__ = ["QueueState", "RedisQueue", "RedisQueueOptions"]
