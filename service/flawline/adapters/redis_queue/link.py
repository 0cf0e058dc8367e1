"""How the server of the queue was found when it was asked last."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone

from redis.exceptions import ConnectionError  # noqa: A004 - redis-py's own, which is not the builtin

logger = logging.getLogger(__name__)

_EVERY_SECOND = ("measure", "announce")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class KnownAway(ConnectionError):  # noqa: N818 - a state, told as its siblings are
    """The server was not asked."""

    def __init__(self) -> None:
        super().__init__("the server did not answer last time")


class Link:
    """Whether the server answered last time, and could keep what came; a change is logged once.

    A script that it refuses (a command that the user may not run, say) is told of once, until it is run. Nothing is
    handed in while that is one of those that are run every second: of others nobody would learn that they are allowed
    by now.

    ahead: how far its clock is ahead of ours, as it was last seen.
    """

    def __init__(self) -> None:
        self._up: bool | None = None
        self.full = False
        self._error = ""  # of the last command that failed, while it is down
        self._refused: dict[str, str] = {}
        self.ahead = timedelta(0)

    @property
    def up(self) -> bool:
        """False before the first answer too."""
        return self.answers and self._refused.keys().isdisjoint(_EVERY_SECOND)

    @property
    def answers(self) -> bool:
        """Whether it did last time, be it that it refused."""
        return self._up is True

    @property
    def error(self) -> str:
        """Why it is not up; empty while it is."""
        return self._error or next(
            (self._refused[name] for name in _EVERY_SECOND if name in self._refused), ""
        )

    def refuse_when_down(self) -> None:
        """Raise KnownAway once it is known to be away: what can be done without it must not wait for it."""
        if self._up is False:
            raise KnownAway

    @property
    def fault(self) -> str | None:
        """Why nothing can be handed in now, in the words of NotReady; None when it can."""
        if not self.up:
            return "queue_unavailable"
        return "queue_out_of_memory" if self.full else None

    def filled(self, error: Exception) -> None:
        """It has no memory for what is handed in."""
        if not self.full:
            logger.warning("redis_out_of_memory error=%s", error)
        self.full = True

    def emptied(self) -> None:
        """There is memory again."""
        if self.full:
            logger.warning("redis_has_room")
        self.full = False

    def time_is(self, since_epoch: timedelta, utc_now: datetime) -> None:
        """It told what time it has now; we have that one."""
        self.ahead = _EPOCH + since_epoch - utc_now

    def worked(self) -> None:
        """An answer came."""
        if self._up is False:
            logger.warning("redis_back")
        self._up, self._error = True, ""

    def failed(self, error: Exception) -> None:
        """No answer came, or one that it cannot write."""
        if self._up is not False:
            logger.warning("redis_unreachable error=%s", error)
        self._up, self._error = False, str(error)

    def refused(self, script: str, error: Exception) -> None:
        """It answered that it does not run that one."""
        if script not in self._refused:
            logger.warning("redis_refuses script=%s error=%s", script, error)
        self._refused[script] = str(error)

    def ran(self, script: str) -> None:
        """It did run that one."""
        if self._refused and self._refused.pop(script, None) is not None:
            logger.warning("redis_refuses_no_more script=%s", script)
