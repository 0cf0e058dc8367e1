"""The limit: a bare loop in one process that decodes, runs and judges the same pictures, with nothing around it.

`python -m serving.limit KIND_FOLDER ARTIFACT THREADS BATCH SECONDS WARM_S` prints one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from serving import processes
from serving.detector import Detector
from serving.pictures import Kind


def loop(
    kind: Kind, detector: Detector, batch: int, seconds: float, warm_s: float
) -> dict[str, Any]:
    """Its figures, named as those of the servers; a latency is that of a whole batch."""
    pictures = kind.encoded()
    at = 0

    def turn() -> tuple[int, int]:
        """One batch: real answers, wrong ones."""
        nonlocal at
        numbers = [(at + n) % len(pictures) for n in range(batch)]
        at += batch
        answers = detector.inspect([pictures[n] for n in numbers])
        right = sum(
            len(answer["detections"]) == kind.counts[n]
            for n, answer in zip(numbers, answers, strict=True)
        )
        return right, batch - right

    warm_until_s = time.perf_counter() + warm_s
    while time.perf_counter() < warm_until_s:
        turn()
    latencies_ms, real, wrong = [], 0, 0
    machine_s, cpu_s, began_s = processes.machine_cpu_s(), time.process_time(), time.perf_counter()
    while (turn_began_s := time.perf_counter()) - began_s < seconds:
        of_turn = turn()
        real, wrong = real + of_turn[0], wrong + of_turn[1]
        latencies_ms.append((time.perf_counter() - turn_began_s) * 1000)
    took_s = time.perf_counter() - began_s
    cpu_s, machine_s = time.process_time() - cpu_s, processes.machine_cpu_s() - machine_s
    rss_mb, pss_mb = processes.memory_mb([os.getpid()])
    p50, p95, p99, most = np.percentile(latencies_ms, [50, 95, 99, 100])
    return {
        "asked": real + wrong,
        "answers": real,
        "failures": dict(Counter({"wrong number of detections": wrong}) if wrong else {}),
        "frames_per_s": real / took_s,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": most,
        "deadline_misses": wrong,
        "cpu_ms_a_frame": cpu_s / real * 1000,
        "generator_cpu_ms_a_frame": 0.0,
        "seconds": took_s,
        "server_cpu_s": cpu_s,
        "machine_cpu_s": machine_s,
        "generator_cpu_s": 0.0,
        "rss_mb": rss_mb,
        "pss_mb": pss_mb,
    }


def main() -> None:
    folder, artifact, threads, batch, seconds, warm_s = sys.argv[1:]
    detector = Detector(Path(artifact), int(threads))
    detector.warm_up()
    found = loop(Kind.read(Path(folder)), detector, int(batch), float(seconds), float(warm_s))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
