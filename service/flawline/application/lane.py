"""One loaded model with all that inspects by it: its own queue, worker and engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flawline.application.models import ServingModel
from flawline.application.ports import LocalQueue
from flawline.application.shared_engine import SharedEngine
from flawline.application.worker import BatchWorker
from flawline.core.pipeline import InspectionPipeline
from flawline.core.recipe import RecipeBook
from flawline.core.values import ModelInfo


@dataclass(eq=False, slots=True)
class Lane:
    """Models do not share a queue, so that no batch mixes them and each is drained by itself.

    retired: it was stable once and is not now, so it may go when room is needed.
    """

    info: ModelInfo
    recipes: RecipeBook
    pipeline: InspectionPipeline
    queue: LocalQueue
    engine: SharedEngine
    worker: BatchWorker
    retired: bool = False
    _users: int = 0
    _unused: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def serving(self) -> ServingModel:
        """What a request is bound to."""
        return ServingModel(self.info, self.recipes, self.queue, self.worker.fault)

    @contextmanager
    def used(self) -> Iterator[Lane]:
        """Whoever waits for `until_unused` waits for the end of this too."""
        self._users += 1
        self._unused.clear()
        try:
            yield self
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def until_unused(self) -> None:
        """Return when nobody uses it."""
        if self._users:
            await self._unused.wait()

    async def load(self) -> None:
        """Load the engine and warm it up. Raises flawspec's ArtifactError."""
        await self.engine.start()

    def start(self) -> None:
        """Take jobs, once loaded."""
        self.worker.start()

    async def stop(self) -> None:
        """End the worker, tell who still waits that there is no verdict, and free the engine."""
        await self.worker.stop()
        await self.queue.close()
        # It waits a little for a batch that runs, and the event loop has others to serve.
        await asyncio.to_thread(self.engine.close)
