"""A camera at a steady rate over InspectStream, with the server killed and started again half-way.

python benchmarks/camera_stream.py prints what became of the frames. `--restart kill` (kill -9) loses the server's
memory, so that frames which it had inspected and not yet answered are inspected again; `--restart term` drains it, and
nothing is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from PIL import Image

from flawline.client import AwayError, Frame, Inspection, Verdict
from flawline.client.camera import AsyncCamera
from flawline.client.grpc import AsyncGrpcClient
from flawline.samples.generator import generate_frame
from serving.processes import free_port, says_ok

PICTURES = 100
STARTS_WITHIN_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=100.0, help="frames a second")
    parser.add_argument("--deadline", type=float, default=10.0, help="of each frame, in seconds")
    parser.add_argument("--restart", choices=["kill", "term", "never"], default="kill")
    parser.add_argument("--artifact", type=Path, help="the .onnx file; without it the packaged one")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(film(options, Server(Path(folder), options.artifact)))


class Server:
    """`flawline serve` on ports of its own, which stay the same."""

    def __init__(self, folder: Path, artifact: Path | None) -> None:
        self.port, self.grpc_port = free_port(), free_port()
        self._log = folder / "log"
        self._environment = os.environ | {
            "FLAWLINE_PORT": str(self.port),
            "FLAWLINE_GRPC_PORT": str(self.grpc_port),
            "FLAWLINE_LOG_LEVEL": "warning",
        }
        if artifact is not None:
            self._environment["FLAWLINE_ARTIFACT"] = str(artifact)

    def start(self) -> None:
        """Not waited for."""
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "flawline", "serve"]
            self._process = subprocess.Popen(command, env=self._environment, stderr=log)  # noqa: S603

    async def until_ready(self) -> None:
        """Until it takes pictures; ends the program if it never does."""
        url = f"http://127.0.0.1:{self.port}/healthz/ready"
        ends_s = time.monotonic() + STARTS_WITHIN_S
        while not await asyncio.to_thread(says_ok, url):
            if time.monotonic() > ends_s:
                sys.exit(f"the server did not get ready: {self._log.read_text()}")
            await asyncio.sleep(0.05)

    def stop(self, number: signal.Signals) -> None:
        """Until it has ended."""
        self._process.send_signal(number)
        self._process.wait()


async def film(options: argparse.Namespace, server: Server) -> None:
    pictures = [picture(number) for number in range(PICTURES)]
    digests = [hashlib.sha256(data).hexdigest() for data in pictures]
    seen: Counter[str] = Counter()
    server.start()
    await server.until_ready()
    target = f"127.0.0.1:{server.grpc_port}"
    watching = asyncio.create_task(watch(target, seen))
    count = round(options.seconds * options.rate)
    restarting: asyncio.Task[float] | None = None
    answers: list[asyncio.Future[Inspection]] = []
    sent_s: list[float] = []
    answered_s: dict[int, float] = {}
    async with AsyncCamera(target, deadline_s=options.deadline, most_unanswered=4096) as camera:
        began_s = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, began_s + number / options.rate - time.monotonic()))
            if number == count // 2 and options.restart != "never":
                restarting = asyncio.create_task(restart(server, options.restart))
            sent_s.append(time.monotonic())
            answer = await camera.send(Frame(pictures[number % PICTURES], part_id=str(number)))
            answer.add_done_callback(lambda _, n=number: answered_s.setdefault(n, time.monotonic()))
            answers.append(answer)
        took_s = time.monotonic() - began_s
        done = await asyncio.gather(*answers)
    away_s = await restarting if restarting else 0.0
    watching.cancel()
    server.stop(signal.SIGTERM)
    with_verdict = [n for n, answer in enumerate(done) if answer.verdict is not Verdict.UNDEFINED]
    mixed_up = [
        n
        for n, answer in enumerate(done)
        if answer.part_id != str(n)
        or (n in with_verdict and answer.frame.sha256 != digests[n % PICTURES])
    ]
    latencies_ms = sorted((answered_s[n] - sent_s[n]) * 1000 for n in with_verdict)
    figures = camera.figures
    print(
        f"frames sent:           {figures.sent} in {took_s:.1f} s ({figures.sent / took_s:.1f} a second)"
    )
    print(f"answered once:         {figures.answered} (to the wrong frame: {len(mixed_up)})")
    print(f"  with a verdict:      {len(with_verdict)}")
    print(f"  Undefined:           {figures.undefined} {dict(reasons(done))}")
    print(
        f"server away:           {away_s:.1f} s ({options.restart}), connections {figures.connections}"
    )
    print(f"sent again:            {figures.resent}")
    print(f"inspected twice:       at most {figures.maybe_inspected_twice} (counted by the client)")
    print(
        f"                       at least {sum(n > 1 for n in seen.values())} (seen by a watcher)"
    )
    if latencies_ms:
        half, most = latencies_ms[len(latencies_ms) // 2], latencies_ms[-1]
        print(f"latency:               median {half:.0f} ms, longest {most:.0f} ms")
    if mixed_up or not figures.sent == figures.answered == len(done) == count:
        sys.exit("a frame got no answer, or that of another")


def reasons(answers: list[Inspection]) -> Counter[str]:
    return Counter(a.reasons[0].code for a in answers if a.verdict is Verdict.UNDEFINED)


async def restart(server: Server, how: str) -> float:
    """How long it was away, in seconds."""
    began_s = time.monotonic()
    number = signal.SIGKILL if how == "kill" else signal.SIGTERM
    await asyncio.to_thread(server.stop, number)
    server.start()
    await server.until_ready()
    return time.monotonic() - began_s


async def watch(target: str, seen: Counter[str]) -> None:
    """Count what is inspected, by part id, over the restart."""
    async with AsyncGrpcClient(target) as client:
        while True:
            with contextlib.suppress(AwayError):
                async with client.watch() as watched:
                    async for news in watched:
                        seen[news.inspection.part_id or ""] += 1
            await asyncio.sleep(0.05)


def picture(number: int) -> bytes:
    """A drawn frame as a camera would send it."""
    stream = io.BytesIO()
    Image.fromarray(generate_frame(number).grey).save(stream, "JPEG")
    return stream.getvalue()


if __name__ == "__main__":
    main()
