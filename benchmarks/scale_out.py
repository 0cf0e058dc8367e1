"""Throughput of one embedded server against an api with one and two workers.

python benchmarks/scale_out.py prints a table. The ratios are the point; the figures depend on the machine, and on how
many cores the parts share. Every process computes with one thread. Needs redis-server, and httpx of the extra `dev`.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
from PIL import Image

from flawline.samples.generator import generate_frame

CALLERS = 16
ONE_THREAD = {"FLAWLINE_ENGINE_THREADS": "1", "FLAWLINE_DECODE_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of load for each row")
    seconds = parser.parse_args().seconds
    print(f"{os.cpu_count()} cores, {CALLERS} callers, {seconds:g} s each")
    print(f"{'':18}{'pictures/s':>12}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}{'no verdict':>12}")
    base = None
    for name, workers in (("embedded", None), ("api + 1 worker", 1), ("api + 2 workers", 2)):
        with served(workers) as url:
            latencies_ms, failed = asyncio.run(load(url, seconds))
        rate = len(latencies_ms) / seconds
        base = base or rate
        percentiles = statistics.quantiles(latencies_ms, n=100)
        print(
            f"{name:18}{rate:12.1f}{rate / base:8.2f}"
            f"{percentiles[49]:9.1f}{percentiles[98]:9.1f}{failed:12d}"
        )


@contextmanager
def served(workers: int | None) -> Iterator[str]:
    """The address of a server that is ready and warm; workers: None for embedded."""
    port, redis_port = free_port(), free_port()
    with ExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory())
        settings = ONE_THREAD | {"FLAWLINE_PORT": str(port), "FLAWLINE_GRPC_PORT": "0"}
        if workers is not None:
            redis = shutil.which("redis-server") or sys.exit("redis-server is missing")
            start(
                running, [redis, "--port", str(redis_port), "--dir", folder, "--appendonly", "yes"]
            )
            settings |= {
                "FLAWLINE_QUEUE": f"redis://127.0.0.1:{redis_port}",
                "FLAWLINE_METRICS_PORT": "0",
            }
        flawline = [sys.executable, "-m", "flawline"]
        start(running, [*flawline, "serve"], settings)
        for _ in range(workers or 0):
            start(running, [*flawline, "worker"], settings)
        url = f"http://127.0.0.1:{port}"
        wait_until_warm(url, workers)
        yield url


def start(running: ExitStack, command: list[str], settings: dict[str, str] | None = None) -> None:
    process = subprocess.Popen(  # noqa: S603 - our own programs
        command,
        env=os.environ | (settings or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    running.callback(process.wait)
    running.callback(process.terminate)


def wait_until_warm(url: str, workers: int | None) -> None:
    for _ in range(600):
        try:
            (model,) = httpx.get(f"{url}/v1/models").json()["models"]
            if httpx.get(f"{url}/healthz/ready").is_success and model["workers"] == workers:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    sys.exit("the server did not get ready within 60 s")


async def load(url: str, seconds: float) -> tuple[list[float], int]:
    """Latencies of the inspections that got a verdict, and how many got none."""
    picture = io.BytesIO()
    Image.fromarray(generate_frame(1, flaws=["scratches"]).grey).save(picture, "JPEG")
    latencies_ms: list[float] = []
    failed = 0
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        ends_s = time.perf_counter() + seconds

        async def call() -> None:
            nonlocal failed
            while (began_s := time.perf_counter()) < ends_s:
                answer = await client.post("/v1/inspections", content=picture.getvalue())
                if answer.is_success:
                    latencies_ms.append((time.perf_counter() - began_s) * 1000)
                else:
                    failed += 1

        await asyncio.gather(*(call() for _ in range(CALLERS)))
    return latencies_ms, failed


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
