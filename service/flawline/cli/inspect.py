"""`flawline inspect`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from flawline.adapters.logs import set_up_logs
from flawline.bootstrap import build_service
from flawline.cli.annotated import write_annotated
from flawline.cli.fault import Fault
from flawline.cli.finite import FiniteRange
from flawline.cli.load.interrupt import INTERRUPTED
from flawline.cli.loop import run
from flawline.cli.offline import Inspected, OfflineOptions, inspect_files, read_at_most
from flawline.cli.pictures import SUFFIXES, PictureFile, collect_pictures
from flawline.cli.report import Tally, json_line, text_line
from flawline.cli.startup import caller_settings, startup_explained
from flawline.core.priority import Priority
from flawline.core.values import Inspection
from flawline.settings import FlawlineSettings
from flawspec.decoding import DecodeLimits

# Nobody waits at a line here: a slow machine takes its time.
_PATIENCE_S = 600.0


@click.command("inspect", short_help="Inspect picture files without a server.")
@click.argument(
    "paths",
    metavar="PATH...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write an annotated picture for each into this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line, as REST answers.")
@click.option(
    "--min-score",
    type=FiniteRange(0.0, 1.0),
    help="Takes the place of the recipe's score thresholds.",
)
def command(
    paths: tuple[Path, ...], out: Path | None, as_json: bool, min_score: float | None
) -> None:
    """Inspect picture files, and all pictures in folders, without a server.

    Exit code 1 when some picture could not be inspected; its line says why. 130 after Ctrl-C.
    """
    files = collect_pictures(paths, without=out)
    if not files:
        raise Fault(
            f"There is no picture in {', '.join(map(str, paths))}; "
            f"looked for files ending in {', '.join(sorted(SUFFIXES))}"
            + ("." if out is None else f", and not in {out}, where --out puts annotated pictures.")
        )
    if out is not None:
        _keep_originals(files, out)
    settings = caller_settings(
        queue="memory",
        deadline_ms=round(_PATIENCE_S * 1000),
        max_deadline_ms=round(_PATIENCE_S * 1000),
        engine_stall_s=_PATIENCE_S,
    )
    set_up_logs("warning")
    session = _Session(settings, out, as_json, min_score)
    try:
        with startup_explained():
            run(session.inspect(files))
    except KeyboardInterrupt:
        click.echo("Interrupted: the pictures without a line were not inspected.", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(0 if session.tally.all_evaluated else 1)


def _keep_originals(files: list[PictureFile], out: Path) -> None:
    originals = {file.path.resolve() for file in files}
    for file in files:
        target = out / file.copy
        if target.resolve() in originals:
            raise Fault(
                f"The annotated copy of {file.path} would overwrite the picture {target}. "
                "Choose another folder with --out."
            )


def _most_ahead(settings: FlawlineSettings) -> int:
    """So many pictures may wait: all are backfill, of one line."""
    most = min(settings.queue_capacity, settings.most_of_one_line)
    return min(2 * settings.max_batch, Priority.BACKFILL.room_of(most, settings.max_frames))


class _Session:
    """One run over a list of files."""

    def __init__(
        self, settings: FlawlineSettings, out: Path | None, as_json: bool, min_score: float | None
    ) -> None:
        self.tally = Tally()
        self._settings = settings
        self._out = out
        self._as_json = as_json
        self._min_score = min_score
        self._console = Console(highlight=False)

    async def inspect(self, files: list[PictureFile]) -> None:
        """Print each outcome as it comes, then the summary. Raises StartupError, Fault."""
        settings = self._settings
        options = OfflineOptions(
            min_score=self._min_score,
            deadline_ms=settings.deadline_ms,
            max_bytes=settings.max_body_bytes,
            ahead=_most_ahead(settings),
        )
        service = build_service(settings)
        async with AsyncExitStack() as stopping:
            stopping.push_async_callback(service.stop)
            await service.start()
            with self._progress() as progress:
                task = progress.add_task("inspecting", total=len(files))
                async for inspected in inspect_files(service.inspector, files, options):
                    await self._take(inspected, service.model.labels)
                    progress.advance(task)
        if not self._as_json:
            self.tally.print_to(self._console)
            if self._out is not None:
                click.echo(f"Annotated pictures are in {self._out}")

    def _progress(self) -> Progress:
        """A bar where a person sees it, and never between JSON lines.

        Its console is that of the lines where that is a terminal, or the two would overwrite each
        other; redirection is off because rich would send the lines where the bar is.
        """
        console = self._console if self._console.is_terminal else Console(stderr=True)
        columns = (*Progress.get_default_columns()[:3], MofNCompleteColumn(), TimeRemainingColumn())
        return Progress(
            *columns,
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not console.is_terminal or (self._as_json and console is self._console),
        )

    async def _take(self, inspected: Inspected, labels: tuple[str, ...]) -> None:
        self.tally.add(inspected)
        inspection = inspected.inspection
        if self._out is not None and inspection is not None:
            target = self._out / inspected.file.copy
            await asyncio.to_thread(self._annotate, inspected.file.path, target, inspection, labels)
        if self._as_json:
            click.echo(json_line(inspected))
        else:
            self._console.print(text_line(inspected), soft_wrap=True)

    def _annotate(
        self, path: Path, target: Path, inspection: Inspection, labels: tuple[str, ...]
    ) -> None:
        """The file is read again rather than kept: many may wait for their turn."""
        limits = DecodeLimits(
            max_bytes=self._settings.max_body_bytes, max_pixels=self._settings.max_pixels
        )
        write_annotated(
            target,
            read_at_most(path, limits.max_bytes),
            limits,
            detections=inspection.detections,
            verdict=inspection.verdict,
            labels=labels,
        )
