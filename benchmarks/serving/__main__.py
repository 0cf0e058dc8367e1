"""`make bench`: measures, and writes table.md, results.json and plots; docs/performance.md says how to read them."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from flawspec.artifact import sha256_file
from serving.detector import Detector
from serving.growth import measure_growth
from serving.page import write_page
from serving.peers.catalogue import peer_servers
from serving.pictures import DRAWN_KINDS, Kind, TooFewPictures, collect, draw
from serving.plan import LIMITS, Plan, chosen, split
from serving.proof import prove
from serving.report import write_report
from serving.rounds import Rounds
from serving.servers import ROOT, Server, Setting, flawline_servers
from serving.starting import measure_starts
from serving.store import OtherRun, Store

PARTS = ("proof", "load", "start", "rss")
CACHE = ROOT / ".cache" / "bench"
FULL: dict[str, Any] = {
    "only": list(PARTS),
    "contenders": ["all"],
    "kinds": list(DRAWN_KINDS),
    "data": [],
    "clients": [1, 2, 4, 8, 16, 32],
    "rates": [25.0, 50.0, 100.0],
    "repeats": 5,
    "seconds": 5.0,
    "warm": 1.0,
    "out": CACHE / "full",
}
QUICK: dict[str, Any] = {
    "only": ["load"],
    "contenders": ["limit", "flawline/rest", "flawline/grpc", "flawline/stream", "fastapi"],
    "kinds": ["200x200"],
    "data": [],
    "clients": [1, 8],
    "rates": [50.0],
    "repeats": 3,
    "seconds": 2.0,
    "warm": 0.5,
    "out": CACHE / "quick",
}
_CONTENDERS_HELP = "server/door, a server with all its doors, a peer, `peers`, `limit` or `all`"


def main() -> None:
    signal.signal(signal.SIGTERM, _stop)  # so that servers which were started end too
    options = _options()
    setting = Setting(
        options.artifact.resolve(),
        options.threads,
        options.cache.resolve(),
        options.flawline_deadline_ms,
    )
    servers = [*flawline_servers(setting), *peer_servers(setting)]
    try:
        contenders = chosen(options.contenders, servers)
    except ValueError as error:
        sys.exit(str(error))
    if options.list:
        _list(servers)
        return
    run = _run_facts(options, setting)
    try:
        store = Store(options.out, run, fresh=options.fresh)
        kinds = _kinds(options, setting)
    except (OtherRun, TooFewPictures) as error:
        sys.exit(str(error))
    plan = _plan(options, contenders, kinds)
    wanted = {split(name)[0] for name in contenders}
    _measure(options, plan, setting, [s for s in servers if s.name in wanted], kinds, store)
    print(write_report(store, servers, run))
    print(f"written: {options.out}/table.md, results.json and plots")
    if options.write_docs:
        write_page(store, run, options.quiet_cores)


def _plan(options: argparse.Namespace, contenders: tuple[str, ...], kinds: dict[str, Kind]) -> Plan:
    return Plan(
        contenders=contenders,
        kinds=tuple(kinds),
        clients=tuple(options.clients),
        rates_fps=tuple(options.rates),
        repeats=options.repeats,
        seconds=options.seconds,
        warm_s=options.warm,
        deadline_ms=options.deadline_ms,
        quiet_cores=options.quiet_cores,
    )


def _measure(
    options: argparse.Namespace,
    plan: Plan,
    setting: Setting,
    servers: list[Server],
    kinds: dict[str, Kind],
    store: Store,
) -> None:
    """The parts that are wanted, one after the other."""
    first = next(iter(kinds.values()))
    if "proof" in options.only:
        prove(plan, setting, kinds, store)
    if "load" in options.only:
        Rounds(plan, setting, kinds, store).run(servers)
    if "start" in options.only:
        measure_starts(plan, setting, servers, first, store)
    if "rss" in options.only:
        measure_growth(plan, setting, servers, first, store, options.frames_scale)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="few cells, short, one kind of pictures: some minutes")
    add("--only", nargs="+", choices=[*PARTS, "report"], help="these parts")
    add("--list", action="store_true", help="name the contenders, and end")
    add("--contenders", nargs="+", metavar="NAME", help=_CONTENDERS_HELP)
    add("--kinds", nargs="*", choices=list(DRAWN_KINDS), help="drawn pictures, by their pixels")
    add("--data", nargs="*", type=Path, metavar="FOLDER", help="real pictures: one more kind each")
    add("--clients", nargs="*", type=int, metavar="N", help="of the closed loops")
    add("--rates", nargs="*", type=float, metavar="FPS", help="of the cameras")
    add("--repeats", type=int)
    add("--seconds", type=float, help="of each measurement")
    add("--warm", type=float, help="seconds of load before each")
    add("--threads", type=int, default=os.cpu_count() or 1, help="each server computes with")
    add("--deadline-ms", type=float, default=100.0, help="later answers are missed deadlines")
    add("--flawline-deadline-ms", type=int, default=1000, help="Flawline's own limit to an answer")
    add("--quiet-cores", type=float, default=0.1, help="others may use beside a measurement")
    add("--artifact", type=Path, default=_packaged(), help="the .onnx file that all serve")
    add("--out", type=Path, help="the folder of results; by default .cache/bench/full or quick")
    add("--cache", type=Path, default=CACHE, help="where the peers' environments lie")
    add("--frames-scale", type=float, default=1.0, help="of `rss`: a share of its 60,000 frames")
    add("--write-docs", action="store_true", help="put the tables into docs/performance.md")
    add("--fresh", action="store_true", help="forget what --out holds, instead of going on with it")
    options = parser.parse_args()
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _packaged() -> Path:
    (artifact,) = (ROOT / "service" / "flawline" / "artifacts").glob("*.onnx")
    return artifact


def _kinds(options: argparse.Namespace, setting: Setting) -> dict[str, Kind]:
    folder = options.out / "pictures"
    detector = Detector(setting.artifact, setting.threads)
    print(f"pictures: {', '.join(options.kinds)}", flush=True)
    found = [draw(name, folder, detector, setting.cache) for name in options.kinds]
    found += [collect(data, folder, detector) for data in options.data]
    return {kind.name: kind for kind in found}


def _run_facts(options: argparse.Namespace, setting: Setting) -> dict[str, Any]:
    """What must be the same for all figures of a run."""
    described = subprocess.run(  # noqa: S603
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "commit": described.stdout.strip(),
        "artifact": setting.artifact.name,
        "sha256": sha256_file(setting.artifact),
        "threads": setting.threads,
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "seconds": options.seconds,
        "warm_s": options.warm,
        "repeats": options.repeats,
        "deadline_ms": options.deadline_ms,
        "flawline_deadline_ms": options.flawline_deadline_ms,
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _list(servers: list[Server]) -> None:
    for name, bare in LIMITS.items():
        how = "one a thread" if bare.side_by_side else "with all threads"
        print(f"{name}: a bare loop, {how}, {bare.batch} picture(s) at a time")
    for server in servers:
        print(f"{server.name} ({', '.join(server.doors)}): {server.about}")


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit("told to stop; what was measured is kept")


if __name__ == "__main__":
    main()
