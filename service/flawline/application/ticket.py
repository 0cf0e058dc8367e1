"""What can be said of an inspection whose caller did not wait for it.

Plain values only, so that a memory may serialise them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flawline.core.values import Inspection, PartInspection

Answer = Inspection | PartInspection


@dataclass(frozen=True, slots=True)
class Pending:
    """Accepted, not answered yet. until: its deadline, UTC."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Finished:
    """Answered, with or without a verdict."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Refused:
    """It turned out to be a bad request: code, sentence and field of the error."""

    code: str
    detail: str
    field: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Accepted, and there will be no answer: why, as a word and a sentence."""

    code: str
    detail: str


TicketState = Pending | Finished | Refused | Unanswered
