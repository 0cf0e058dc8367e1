"""Every key in Redis, and how long each lives: the one place that names them.

    <ns>:jobs:<class>     stream    one a priority class, with the group `workers`; entries are deleted
                                    when they are acknowledged, never trimmed
    <ns>:bell             stream    one entry, anew with each job: what idle workers wait for
    <ns>:waiting:<class>  zset      ids of the jobs that no worker holds, by time of submission
    <ns>:line:<line>      zset      the same, of one line
    <ns>:wanted:<id>      set       who waits for the outcome of a job; gone once it has one, or
                                    when nobody wants it any more; lives a grace beyond the deadline
    <ns>:picture:<id>     string    a picture too large for its entry; lives as long as `wanted`
    <ns>:answer:<sha256>  string    the answer under an idempotency key, for as long as that is set
    <ns>:memory           string    names what is kept under `answer`; gone when Redis has lost its data
    <ns>:inspections      stream    finished inspections for whoever watches, the last so many
    <ns>:ticket:<sha256>  string    how an inspection stands whose caller comes back; as long as that is set
    <ns>:claim:<sha256>   string    which api works on that answer; lives a little beyond its deadline and its keeping
    <ns>:replies:<api>    stream    outcomes for one api process; deleted soon after they are read, gone with disuse
    <ns>:resolved         list      moments of the last outcomes, for the drain rate
    <ns>:workers          zset      what the workers serve, by the moment at which that is stale
    <ns>:takers           zset      who asked for work, by the moment at which he did last; gone some seconds later
    <ns>:dead             stream    dead letters, the last so many

Moments are milliseconds on the clock of the Redis server, so that the clocks of machines need not
agree.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from flawline.core.drain import RATE_WINDOW
from flawline.core.priority import TURNS, Priority, order_at

GROUP = "workers"
NOBODY = "nobody"
"""The consumer that has what was handed back; no worker goes by that name."""
GRACE_S = 30.0
REPLIES_LIFE_S = 600.0
RATE_LIFE_S = 60.0
ANNOUNCEMENT_LIFE_S = 15.0
TAKER_LIFE_S = 3.0  # who has nothing to do asks every second
IDLE_CONSUMER_S = 3600.0
MOST_REPLIES = 10_000
MOST_DEAD_LETTERS = 1_000
MOST_INSPECTIONS = 1_000

CLASSES = tuple(Priority)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one queue; `namespace` lets several share a server."""

    namespace: str

    @property
    def bell(self) -> str:
        """The stream that rings."""
        return f"{self.namespace}:bell"

    @property
    def dead(self) -> str:
        """The dead letters."""
        return f"{self.namespace}:dead"

    @property
    def memory_id(self) -> str:
        """The name of all answers kept."""
        return f"{self.namespace}:memory"

    @property
    def inspections(self) -> str:
        """The feed of finished inspections."""
        return f"{self.namespace}:inspections"

    def jobs(self, priority: Priority) -> str:
        """The stream of one class."""
        return f"{self.namespace}:jobs:{priority.value}"

    def picture(self, job_id: str) -> str:
        """A large picture."""
        return f"{self.namespace}:picture:{job_id}"

    def answer(self, key: str) -> str:
        """The answer under an idempotency key, which may be any text."""
        return f"{self.namespace}:answer:{hashlib.sha256(key.encode()).hexdigest()}"

    def ticket(self, key: str) -> str:
        """An inspection that a caller comes back for."""
        return f"{self.namespace}:ticket:{hashlib.sha256(key.encode()).hexdigest()}"

    def claim(self, key: str) -> str:
        """Who gives the answer under an idempotency key."""
        return f"{self.namespace}:claim:{hashlib.sha256(key.encode()).hexdigest()}"

    def replies(self, api: str) -> str:
        """The outcomes for one api process."""
        return f"{self.namespace}:replies:{api}"

    def lua(self) -> str:
        """The same names as Lua, for the scripts."""
        streams = ", ".join(f"'{self.jobs(priority)}'" for priority in CLASSES)
        waiting = ", ".join(f"'{self.namespace}:waiting:{of.value}'" for of in CLASSES)
        orders = ", ".join(
            "{" + ", ".join(str(CLASSES.index(p) + 1) for p in order_at(turn)) + "}"
            for turn in range(TURNS)
        )
        return (
            f"local GROUP, NOBODY = '{GROUP}', '{NOBODY}'\n"
            f"local STREAMS = {{{streams}}}\n"
            f"local ORDERS = {{{orders}}}\n"
            f"local BELL, DEAD = '{self.bell}', '{self.dead}'\n"
            f"local WORKERS, ANNOUNCEMENT_LIFE_MS = '{self.namespace}:workers', {_ms(ANNOUNCEMENT_LIFE_S)}\n"
            f"local TAKERS, TAKER_LIFE_MS = '{self.namespace}:takers', {_ms(TAKER_LIFE_S)}\n"
            f"local WAITING = {{{waiting}}}\n"
            f"local RESOLVED = '{self.namespace}:resolved'\n"
            f"local function line_key(line) return '{self.namespace}:line:' .. line end\n"
            f"local function wanted_key(id) return '{self.namespace}:wanted:' .. id end\n"
            f"local function picture_key(id) return '{self.namespace}:picture:' .. id end\n"
            f"local GRACE_MS, REPLIES_LIFE_MS = {_ms(GRACE_S)}, {_ms(REPLIES_LIFE_S)}\n"
            f"local RATE_LIFE_MS, RATE_WINDOW = {_ms(RATE_LIFE_S)}, {RATE_WINDOW}\n"
            f"local IDLE_CONSUMER_MS = {_ms(IDLE_CONSUMER_S)}\n"
            f"local MOST_REPLIES, MOST_DEAD_LETTERS = {MOST_REPLIES}, {MOST_DEAD_LETTERS}\n"
        )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
