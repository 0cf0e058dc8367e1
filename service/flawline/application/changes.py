"""One change of models at a time, to its end whatever becomes of its caller."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from flawline.application.ports import ModelTelemetry
from flawline.core.errors import InspectionError, NotReady
from flawline.core.model_errors import ChangeInProgress, ModelControlOff, UnusableArtifact

logger = logging.getLogger(__name__)

T = TypeVar("T")
_RETRY_AFTER_S = 2.0


class Changes:
    """Runs them; allowed: whether callers may ask for any. None is begun before `open`."""

    def __init__(self, telemetry: ModelTelemetry, *, allowed: bool) -> None:
        self._telemetry = telemetry
        self._allowed = allowed
        self._closed_because: str | None = "starting"
        self._running: asyncio.Task[Any] | None = None

    def open(self) -> None:
        """Begin changes from now on."""
        self._closed_because = None

    async def close(self) -> None:
        """Begin none any more, and cancel the one that runs."""
        self._closed_because = "draining"
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})

    async def run(self, change: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `work`; a caller that is cancelled does not stop it.

        change: the word that metrics and log have for it. Raises ModelControlOff, ChangeInProgress,
        NotReady, and what `work` raises.
        """
        try:
            self._require_open()
        except InspectionError:
            self._telemetry.model_changed(change, "refused")
            raise
        task = asyncio.create_task(work(), name=f"flawline {change}")
        self._running = task
        task.add_done_callback(lambda _: self._ended(change, task))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # by `close`; the caller is still there
                raise NotReady("draining", _RETRY_AFTER_S) from None
            raise

    def _require_open(self) -> None:
        if not self._allowed:
            raise ModelControlOff
        if self._closed_because is not None:
            raise NotReady(self._closed_because, _RETRY_AFTER_S)
        if self._running is not None:
            raise ChangeInProgress

    def _ended(self, change: str, task: asyncio.Task[Any]) -> None:
        self._running = None
        error = None if task.cancelled() else task.exception()
        if error is None:
            outcome = "failed" if task.cancelled() else "done"
        else:
            expected = isinstance(error, InspectionError)
            outcome = (
                "refused" if expected and not isinstance(error, UnusableArtifact) else "failed"
            )
            logger.warning("model_%s_%s: %s", change, outcome, error)
        self._telemetry.model_changed(change, outcome)
