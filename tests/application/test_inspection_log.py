from __future__ import annotations

import logging

import pytest
from scripted_inspector import NOT_OK, OK, TOO_LATE

from flawline.application.inspection_log import InspectionLog

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("logged", "verdicts"),
    [("none", []), ("odd", ["Undefined"]), ("all", ["OK", "NotOK", "Undefined"])],
)
def test_those_asked_for_get_a_line_each(
    caplog: pytest.LogCaptureFixture, logged: str, verdicts: list[str]
) -> None:
    with caplog.at_level(logging.INFO, "flawline"):
        for inspection in (OK, NOT_OK, TOO_LATE):
            InspectionLog(logged).answered(inspection, None)
    assert [record.args[4] for record in caplog.records] == verdicts


def test_the_line_has_the_ids_that_lead_to_other_systems(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "flawline"):
        InspectionLog("all").answered(NOT_OK, TRACEPARENT)
    assert caplog.messages == [
        f"inspected inspection_id={NOT_OK.inspection_id} part_id=SN-1 line=press-2 "
        "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 verdict=NotOK reasons=['defect'] detections=2 "
        "total_ms=15"
    ]
