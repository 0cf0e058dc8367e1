"""The limit: bare loops in one process that decode, run and judge the same pictures, with nothing around them.

`python -m serving.limit KIND_FOLDER ARTIFACT THREADS LOOPS BATCH SECONDS WARM_S` prints one JSON object. Each loop runs
in a thread of its own and computes with THREADS threads of ONNX Runtime.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from serving import processes
from serving.detector import Detector
from serving.pictures import Kind


@dataclass
class Tally:
    """What one loop has done."""

    real: int = 0
    wrong: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    """Of whole batches."""


class Loop:
    """Takes the pictures in turn, so many at a time."""

    def __init__(self, kind: Kind, detector: Detector, batch: int, first: int) -> None:
        self._pictures = kind.encoded()
        self._counts = kind.counts
        self._detector = detector
        self._batch = batch
        self._at = first

    def run(self, until_s: float) -> Tally:
        """Until that moment of the clock `time.perf_counter`."""
        tally = Tally()
        while (began_s := time.perf_counter()) < until_s:
            numbers = [(self._at + n) % len(self._pictures) for n in range(self._batch)]
            self._at += self._batch
            answers = self._detector.inspect([self._pictures[n] for n in numbers])
            for number, answer in zip(numbers, answers, strict=True):
                right = len(answer["detections"]) == self._counts[number]
                tally.real += right
                tally.wrong += not right
            tally.latencies_ms.append((time.perf_counter() - began_s) * 1000)
        return tally


def side_by_side(loops: list[Loop], seconds: float) -> tuple[Tally, float]:
    """All of them at once: what they did together, and in how many seconds."""
    tallies: list[Tally] = []
    began_s = time.perf_counter()

    def work(loop: Loop) -> None:
        tallies.append(loop.run(began_s + seconds))

    threads = [threading.Thread(target=work, args=(loop,)) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = Tally(
        sum(tally.real for tally in tallies),
        sum(tally.wrong for tally in tallies),
        [latency for tally in tallies for latency in tally.latencies_ms],
    )
    return together, time.perf_counter() - began_s


def figures(loops: list[Loop], seconds: float, warm_s: float) -> dict[str, Any]:
    """Named as those of the servers."""
    side_by_side(loops, warm_s)
    machine_s, cpu_s = processes.machine_cpu_s(), time.process_time()
    tally, took_s = side_by_side(loops, seconds)
    cpu_s, machine_s = time.process_time() - cpu_s, processes.machine_cpu_s() - machine_s
    rss_mb, pss_mb = processes.memory_mb([os.getpid()])
    p50, p95, p99, most = np.percentile(tally.latencies_ms, [50, 95, 99, 100])
    wrong = Counter({"wrong number of detections": tally.wrong}) if tally.wrong else Counter()
    return {
        "asked": tally.real + tally.wrong,
        "answers": tally.real,
        "failures": dict(wrong),
        "frames_per_s": tally.real / took_s,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": most,
        "deadline_misses": tally.wrong,
        "cpu_ms_a_frame": cpu_s / tally.real * 1000,
        "generator_cpu_ms_a_frame": 0.0,
        "seconds": took_s,
        "server_cpu_s": cpu_s,
        "machine_cpu_s": machine_s,
        "generator_cpu_s": 0.0,
        "rss_mb": rss_mb,
        "pss_mb": pss_mb,
    }


def main() -> None:
    folder, artifact, threads, count, batch, seconds, warm_s = sys.argv[1:]
    kind = Kind.read(Path(folder))
    detector = Detector(Path(artifact), int(threads))
    detector.warm_up()
    loops = [Loop(kind, detector, int(batch), first) for first in range(int(count))]
    print(json.dumps(figures(loops, float(seconds), float(warm_s))))


if __name__ == "__main__":
    main()
