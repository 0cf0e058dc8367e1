"""From the rows of a run to table.md, results.json and plots."""

from __future__ import annotations

import json
import statistics
from typing import Any

from serving.aggregate import aggregated
from serving.bars import bars_table, load_bars
from serving.long_tables import (
    memory_bars,
    memory_table,
    proof_table,
    start_bar,
    start_table,
)
from serving.plots import draw_plots
from serving.servers import Server
from serving.store import Row, Store
from serving.tables import load_tables


def write_report(store: Store, servers: list[Server], run: dict[str, Any]) -> str:
    """Writes the three, and gives the table."""
    peers = {server.name for server in servers if server.peer}
    rows = store.part("load")
    results = aggregated(rows)
    starts, memory, proofs = store.part("start"), store.part("rss"), store.part("proof")
    bars = load_bars(rows, peers) if rows else []
    bars += [start_bar(starts)] if starts else []
    bars += memory_bars(memory) if memory else []
    unavailable = {row["server"]: row["reason"] for row in store.part("unavailable")}
    versions = {row["server"]: row["versions"] for row in store.part("versions")}
    document = {
        "run": run,
        "versions": versions,
        "unavailable": unavailable,
        "bars": [bar.to_json() for bar in bars],
        "load": [result.to_json() for result in results],
        "start": starts,
        "rss": memory,
        "proof": proofs,
    }
    (store.folder / "results.json").write_text(json.dumps(document, indent=1), "utf-8")
    parts = [_head(run, rows)]
    if bars:
        parts += ["## Bars\n", bars_table(bars)]
    if results:
        draw_plots(results, store.folder)
        parts += ["## Load\n", load_tables(results, run["deadline_ms"])]
    if starts:
        parts += ["## From start to ready\n", start_table(starts)]
    if memory:
        parts += ["## Memory over a long run\n", memory_table(memory)]
    if proofs:
        parts += ["## The generator's own ceiling\n", proof_table(proofs, rows)]
    parts.append(_servers(servers, store, unavailable, versions))
    table = "\n".join(parts)
    (store.folder / "table.md").write_text(table, "utf-8")
    return table


def _head(run: dict[str, Any], rows: list[Row]) -> str:
    others = [row["others_cores"] for row in rows]
    beside = (
        f" Others computed meanwhile with {statistics.median(others):.2f} cores (median; at most {max(others):.2f})."
        if others
        else ""
    )
    return (
        f"{run['cores']} cores ({run['processor']}), {run['threads']} thread(s) for each server, "
        f"{run['repeats']} repeats of {run['seconds']:g} s, {run['artifact']}, commit {run['commit']}.{beside}\n"
    )


def _servers(
    servers: list[Server], store: Store, unavailable: dict[str, str], versions: dict[str, Any]
) -> str:
    measured = {row["contender"].split("/")[0] for row in store.part("load")}
    measured |= {row["server"] for part in ("start", "rss") for row in store.part(part)}
    lines = ["## Servers\n", "| | configuration | versions |", "|---|---|---|"]
    for server in servers:
        if server.name in measured | set(unavailable):
            reason = unavailable.get(server.name)
            told = f"**not measured**: {' '.join(reason.split())[-300:]}" if reason else ""
            packages = ", ".join(f"{n} {v}" for n, v in versions.get(server.name, {}).items())
            lines.append(f"| {server.name} | {server.about} {told} | {packages} |")
    return "\n".join(lines) + "\n"
