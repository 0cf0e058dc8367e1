"""Tables and bars of the parts beside the load: start, memory over a long run, and the generator's ceiling."""

from __future__ import annotations

from collections.abc import Sequence

from serving.aggregate import Spread
from serving.bars import Bar
from serving.growth import FIRST, THEN
from serving.store import Row

OURS = "flawline"


def start_bar(rows: Sequence[Row]) -> Bar:
    """From `flawline serve` to readiness, in seconds."""
    own = [row["ready_s"] for row in rows if row["server"] == OURS]
    return Bar(
        "start to ready, in seconds", 2.0, at_least=False, measured=Spread.of(own), beside=OURS
    )


def memory_bars(rows: Sequence[Row]) -> list[Bar]:
    """RSS after the first frames, and its growth over the rest."""
    rss = _rss(rows, OURS)
    first, last = rss.get(FIRST), rss.get(FIRST + THEN)
    growth = last / first - 1 if first and last else None
    return [
        Bar(
            f"RSS after {FIRST} frames, in MB",
            250,
            at_least=False,
            measured=Spread.of([first]),
            beside=OURS,
        ),
        Bar(
            f"growth of RSS over the next {THEN}",
            0.02,
            at_least=False,
            measured=Spread.of([growth]),
            beside=OURS,
        ),
    ]


def start_table(rows: Sequence[Row]) -> str:
    """One line a server."""
    lines = ["| | ready after, s | first answer after that, ms |", "|---|---|---|"]
    for name in dict.fromkeys(row["server"] for row in rows):
        own = [row for row in rows if row["server"] == name]
        cells = [
            _spread(Spread.of(row[key] for row in own)) for key in ("ready_s", "first_answer_ms")
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def memory_table(rows: Sequence[Row]) -> str:
    """One column a step."""
    steps = sorted({row["frames"] for row in rows})
    lines = [
        "| RSS in MB after | " + " | ".join(map(str, steps)) + " |",
        "|---|" + "---|" * len(steps),
    ]
    for name in dict.fromkeys(row["server"] for row in rows):
        rss = _rss(rows, name)
        cells = [f"{rss[step]:.1f}" if step in rss else "" for step in steps]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def proof_table(rows: Sequence[Row], load: Sequence[Row]) -> str:
    """The ceiling of each door, and how far above it stands what any server reached by that door."""
    lines = [
        "| | answers/s on a server that does nothing | generator, CPU ms an answer | highest rate measured |",
        "|---|---|---|---|",
    ]
    for kind, by in dict.fromkeys((row["kind"], row["by"]) for row in rows):
        own = [row for row in rows if (row["kind"], row["by"]) == (kind, by)]
        ceiling = Spread.of(row["frames_per_s"] for row in own)
        cost = Spread.of(row["generator_cpu_ms_a_frame"] for row in own)
        reached = max((row["frames_per_s"] for row in load if _by(row, kind, by)), default=None)
        shown = f"{reached:.0f}" if reached else ""
        lines.append(f"| {kind}, {by} | {_spread(ceiling, 0)} | {_spread(cost)} | {shown} |")
    return "\n".join(lines) + "\n"


def _by(row: Row, kind: str, by: str) -> bool:
    """Whether that load came by that door's protocol."""
    door = row["contender"].split("/")[1]
    protocol = {"stream": "stream", "grpc": "grpc", "oip": "grpc", "oip-raw": "grpc"}.get(
        door, "rest"
    )
    return row["kind"] == kind and protocol == by and not row["contender"].startswith("limit")


def _rss(rows: Sequence[Row], server: str) -> dict[int, float]:
    return {row["frames"]: row["rss_mb"] for row in rows if row["server"] == server}


def _spread(spread: Spread | None, decimals: int = 2) -> str:
    if spread is None:
        return "-"
    return f"{spread.median:.{decimals}f} ({spread.low:.{decimals}f}-{spread.high:.{decimals}f})"
