"""Use cases and the ports they need; asyncio is allowed here, frameworks are not."""
