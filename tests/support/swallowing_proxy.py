"""A TCP proxy that can become a black hole (connections stay open, and nothing arrives), be slow, or lead elsewhere."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class SwallowingProxy:
    def __init__(self, port: int) -> None:
        self.target = port
        self._cut: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.swallows = False
        self.bytes_per_s: float | None = None

    async def __aenter__(self) -> SwallowingProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def cut(self) -> None:
        """Both ways, those open and those to come; what was open stays dead for good."""
        self.swallows = True
        self._cut |= self._tasks

    def heal(self) -> None:
        self.swallows = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:  # what is behind it is down, and so it is for who comes through it
            writer.close()
            return
        self._writers |= {writer, there_writer}
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._pass_on(source, sink))
            self._tasks.add(task)
            if self.swallows:
                self._cut.add(task)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if asyncio.current_task() not in self._cut:
                    if self.bytes_per_s:
                        await asyncio.sleep(len(data) / self.bytes_per_s)
                    sink.write(data)
                    await sink.drain()
            sink.close()
