"""What a run consists of: who is asked about which pictures, by how many clients or at which cadence, how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serving.servers import Server


@dataclass(frozen=True)
class BareLoop:
    """How a limit runs: one picture or several at a time; in one loop with all threads, or in one loop a thread."""

    batch: int
    side_by_side: bool = False


LIMITS = {
    "limit/batch-1": BareLoop(1),
    "limit/batch-8": BareLoop(8),
    "limit/side-by-side": BareLoop(1, side_by_side=True),
}


@dataclass(frozen=True)
class Cell:
    """Closed loop with so many clients, or a camera of so many frames a second; the other is 0."""

    clients: int = 0
    rate_fps: float = 0.0

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.clients} clients" if self.clients else f"{self.rate_fps:g} frames/s"


@dataclass(frozen=True)
class Plan:
    """contenders: `server/door`, and limits, in the order of the table."""

    contenders: tuple[str, ...]
    kinds: tuple[str, ...]
    clients: tuple[int, ...]
    rates_fps: tuple[float, ...]
    repeats: int
    seconds: float
    warm_s: float
    deadline_ms: float
    quiet_cores: float
    """A measurement beside which others computed with more cores than this is done again, at most twice."""

    @property
    def cells(self) -> list[Cell]:
        """Closed loops first."""
        return [Cell(clients=n) for n in self.clients] + [Cell(rate_fps=r) for r in self.rates_fps]

    def asked_in(self, cell: Cell) -> list[str]:
        """A bare loop knows no cadence."""
        return [name for name in self.contenders if cell.clients or name not in LIMITS]

    def order(self, repeat: int, cell: Cell) -> list[str]:
        """Another first one in each repeat, so that nobody always follows the same neighbour."""
        names = self.asked_in(cell)
        first = (repeat * max(1, len(names) // max(1, self.repeats))) % len(names)
        return (
            names[first:] + names[:first]
            if repeat % 2 == 0
            else (names[first:] + names[:first])[::-1]
        )

    @property
    def measurements(self) -> int:
        """How many there are."""
        cells = sum(len(self.asked_in(cell)) for cell in self.cells)
        return cells * len(self.kinds) * self.repeats


def split(contender: str) -> tuple[str, str]:
    """Server and door."""
    server, _, door = contender.partition("/")
    return server, door


def chosen(wanted: Sequence[str], servers: Sequence[Server]) -> tuple[str, ...]:
    """The contenders that words name: `server/door`, a server with all its doors, `limit`, `peers`, `flawline`.

    Raises ValueError for a word that names nothing.
    """
    everything = [
        *LIMITS,
        *(f"{server.name}/{door}" for server in servers for door in server.doors),
    ]
    peers = {server.name for server in servers if server.peer}
    found: list[str] = []
    for word in wanted:
        names = [
            name
            for name in everything
            if word in (name, split(name)[0], "all")
            or (word == "peers" and split(name)[0] in peers)
            or (word in peers_groups(servers) and split(name)[0] in peers_groups(servers)[word])
        ]
        if not names:
            raise ValueError(f"{word!r} names no contender; there are {', '.join(everything)}")
        found += names
    return tuple(name for name in everything if name in found)


def peers_groups(servers: Sequence[Server]) -> dict[str, set[str]]:
    """Configurations of each peer by the peer's own name."""
    groups: dict[str, set[str]] = {}
    for server in servers:
        if server.environment:
            groups.setdefault(server.environment, set()).add(server.name)
    return groups
