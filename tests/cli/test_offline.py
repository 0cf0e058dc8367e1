from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pictures import numbered
from scripted_inspector import NOT_OK, OK, TOO_LATE, ScriptedInspector

from flawline.application.inspector import InspectionRequest
from flawline.cli.offline import Inspected, OfflineOptions, inspect_files
from flawline.cli.pictures import PictureFile
from flawline.cli.report import FAILED, Tally, outcome_of, text_line
from flawline.core.values import Inspection, Reason

OPTIONS = OfflineOptions(min_score=0.3, deadline_ms=5000, max_bytes=10_000, ahead=4)


@pytest.fixture
def files(tmp_path: Path) -> list[PictureFile]:
    paths = [tmp_path / f"{number}.png" for number in range(12)]
    for number, path in enumerate(paths):
        path.write_bytes(numbered(number))
    return [PictureFile(path, Path(path.name)) for path in paths]


async def outcomes(inspector: ScriptedInspector, files: list[PictureFile]) -> list[Inspected]:
    return [inspected async for inspected in inspect_files(inspector, files, OPTIONS)]


async def test_a_few_files_ahead_answers_in_order(files: list[PictureFile]) -> None:
    open_now, most = 0, 0
    full = asyncio.Event()

    async def later_ones_are_faster(request: InspectionRequest) -> Inspection:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        if open_now == OPTIONS.ahead:
            full.set()
        await full.wait()
        await asyncio.sleep(0.01 if request.picture == first else 0)
        open_now -= 1
        return NOT_OK

    first = numbered(0)
    inspector = ScriptedInspector(later_ones_are_faster)
    inspected = await outcomes(inspector, files)
    assert [outcome.file for outcome in inspected] == files
    assert most == OPTIONS.ahead
    assert {(r.min_score, r.deadline_ms) for r in inspector.requests} == {(0.3, 5000)}


async def test_a_file_that_vanished_is_a_failure_of_its_own(files: list[PictureFile]) -> None:
    files[3].path.unlink()
    inspected = await outcomes(ScriptedInspector(), files)
    assert [outcome.failure is not None for outcome in inspected] == [i == 3 for i in range(12)]
    assert inspected[3].failure.code == "unreadable_file"
    assert "No such file" in inspected[3].failure.detail


async def test_leaving_early_cancels_what_runs(files: list[PictureFile]) -> None:
    cancelled = 0
    first = files[0].path.read_bytes()

    async def never(request: InspectionRequest) -> Inspection:
        nonlocal cancelled
        if request.picture == first:
            return OK
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return OK

    inspector = ScriptedInspector(never)
    running = inspect_files(inspector, files, OPTIONS)
    await anext(running)
    await asyncio.sleep(0.05)
    await running.aclose()
    await asyncio.sleep(0.01)
    assert cancelled == len(inspector.requests) - 1


def test_tally_knows_whether_all_were_evaluated(files: list[PictureFile]) -> None:
    tally = Tally()
    tally.add(Inspected(files[0], OK, None))
    tally.add(Inspected(files[1], NOT_OK, None))
    assert tally.all_evaluated
    assert tally.flaws == {"scratches": 1, "patches": 1}
    for outcome in (
        Inspected(files[2], TOO_LATE, None),
        Inspected(files[3], None, Reason("corrupt_picture", "Cut short.")),
    ):
        tally = Tally()
        tally.add(outcome)
        assert not tally.all_evaluated


def test_each_line_says_why_there_is_no_verdict(files: list[PictureFile]) -> None:
    late = Inspected(files[0], TOO_LATE, None)
    cut = Inspected(files[1], None, Reason("corrupt_picture", "Cut short."))
    assert (outcome_of(late), outcome_of(cut)) == ("Undefined", FAILED)
    assert "No verdict within 5 ms." in text_line(late).plain
    assert text_line(cut).plain == f"failed       {files[1].path}  Cut short."
