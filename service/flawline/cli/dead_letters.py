"""`flawline dead-letters`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from flawline.adapters.redis_queue import DeadLetter, RedisError, RedisTimeoutError
from flawline.application.job import Failed, Judged, PictureRefused
from flawline.bootstrap.desk import Desk, Replayed, desk
from flawline.cli.fault import Fault
from flawline.cli.loop import run
from flawline.cli.startup import caller_settings, startup_explained
from flawline.core.errors import InspectionError
from flawline.settings import FlawlineSettings

_REPLAY_LIMIT_S = 30.0
_TOO_LATE = (
    "The queue (FLAWLINE_QUEUE) did not answer in time. If it is busy, far away, or the picture is large, set "
    "FLAWLINE_QUEUE_TIMEOUT_S to more seconds for this command."
)


@click.group("dead-letters", short_help="Look at jobs that failed, and try them again.")
@click.option("--queue", help="redis://..., the queue of `flawline serve --queue`.")
@click.pass_context
def command(context: click.Context, queue: str | None) -> None:
    """Jobs that failed, or that killed their workers too often, kept with their pictures."""
    context.obj = caller_settings(queue=queue)


@command.command("list")
@click.pass_obj
def list_letters(settings: FlawlineSettings) -> None:
    """One line for each, the oldest first: id, time, line, deliveries, reason."""

    async def print_all() -> None:
        async with desk(settings) as open_desk:
            for letter in await open_desk.letters.all():
                when = letter.buried_at.isoformat(timespec="seconds")
                print(
                    letter.letter_id, when, letter.line, letter.deliveries, letter.reason, sep="  "
                )

    with _explained():
        run(print_all())


@command.command("show")
@click.argument("letter_id")
@click.option(
    "--picture", type=click.Path(path_type=Path, dir_okay=False), help="Write the picture there."
)
@click.pass_obj
def show(settings: FlawlineSettings, letter_id: str, picture: Path | None) -> None:
    """All that is known of one, as JSON."""

    async def find() -> DeadLetter:
        async with desk(settings) as open_desk:
            return await _found(open_desk, letter_id)

    with _explained():
        letter = run(find())
    fields = asdict(letter) | {"picture_bytes": len(letter.picture)}
    del fields["picture"]
    print(json.dumps(fields, default=str, indent=1))
    if picture is not None:
        try:
            picture.write_bytes(letter.picture)
        except OSError as error:
            raise Fault(f"Cannot write {picture}: {error.strerror}.") from error


@command.command("replay")
@click.argument("letter_id")
@click.pass_obj
def replay(settings: FlawlineSettings, letter_id: str) -> None:
    """Hand one in again, and wait for its verdict; with one, it is dropped. Exit code 1 without.

    One that fails again is kept under another id, which is printed.
    """

    async def try_again() -> Replayed:
        async with desk(settings) as open_desk:
            letter = await _found(open_desk, letter_id)
            return await open_desk.replay(letter, _REPLAY_LIMIT_S)

    with _explained():
        replayed = run(try_again())
    print(_said_of(replayed))
    sys.exit(0 if isinstance(replayed.outcome, Judged) else 1)


@command.command("drop")
@click.argument("letter_ids", nargs=-1, required=True)
@click.pass_obj
def drop(settings: FlawlineSettings, letter_ids: Sequence[str]) -> None:
    """Forget these; those that are not there are named, and cost the others nothing."""

    async def forget() -> None:
        async with desk(settings) as open_desk:
            gone = [one for one in letter_ids if not await open_desk.letters.drop(one)]
        if gone:
            raise _no_such(*gone)

    with _explained():
        run(forget())


@contextmanager
def _explained() -> Iterator[None]:
    """Around what asks the queue: what keeps it from answering becomes a Fault."""
    with startup_explained():
        try:
            yield
        except InspectionError as error:
            too_late = isinstance(error.__cause__, RedisTimeoutError)
            raise Fault(_TOO_LATE if too_late else str(error)) from error
        except RedisTimeoutError as error:
            raise Fault(_TOO_LATE) from error
        except RedisError as error:
            raise Fault(
                f"The queue (FLAWLINE_QUEUE) did not do what it was asked: {error}"
            ) from error


async def _found(open_desk: Desk, letter_id: str) -> DeadLetter:
    """Raises Fault when there is no such dead letter."""
    letter = await open_desk.letters.find(letter_id)
    if letter is None:
        raise _no_such(letter_id)
    return letter


def _no_such(*letter_ids: str) -> Fault:
    named = ", ".join(letter_ids)
    return Fault(f"There is no dead letter {named}; `flawline dead-letters list` has all.")


def _said_of(replayed: Replayed) -> str:
    outcome = replayed.outcome
    if isinstance(outcome, Judged):
        return outcome.verdict.value
    if isinstance(outcome, PictureRefused):
        return f"refused: {outcome.detail}"
    if isinstance(outcome, Failed):
        return (
            f"failed again; error id {outcome.error_id}; kept as dead letter {replayed.letter_id}"
        )
    return f"no verdict within {_REPLAY_LIMIT_S:g} s"
