"""What `flawline inspect` prints: a line for each file, then a summary; or JSON lines."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flawline.adapters.rest import InspectionAnswer
from flawline.cli.offline import Inspected
from flawline.core.values import Verdict

FAILED = "failed"
_STYLES = {
    Verdict.OK.value: "green",
    Verdict.NOT_OK.value: "bold red",
    Verdict.NOT_DECIDABLE.value: "yellow",
    Verdict.UNDEFINED.value: "magenta",
    FAILED: "magenta",
}


def json_line(inspected: Inspected) -> str:
    """The answer as REST gives it, with `path`; without an inspection `path` and `error`."""
    path = str(inspected.file.path)
    if inspected.inspection is not None:
        answer = json.loads(InspectionAnswer.of(inspected.inspection).to_json())
    else:
        reason = inspected.failure
        answer = {"error": {"code": reason.code, "detail": reason.detail} if reason else None}
    return json.dumps({"path": path, **answer})


def outcome_of(inspected: Inspected) -> str:
    """The verdict's word, or that there is none."""
    return inspected.inspection.verdict.value if inspected.inspection else FAILED


def text_line(inspected: Inspected) -> Text:
    """Outcome, path, and what was found or why nothing could be."""
    outcome = outcome_of(inspected)
    line = Text(f"{outcome:<13}", style=_STYLES[outcome])
    line.append(f"{inspected.file.path}", style="default")
    line.append(f"  {_findings(inspected)}", style="dim")
    return line


def _findings(inspected: Inspected) -> str:
    if inspected.failure is not None:
        return inspected.failure.detail
    if inspected.inspection is None or inspected.inspection.verdict is Verdict.OK:
        return ""
    if inspected.inspection.detections:
        return ", ".join(f"{d.label} {d.score:.2f}" for d in inspected.inspection.detections)
    return " ".join(reason.detail for reason in inspected.inspection.reasons)


@dataclass
class Tally:
    """Counts of what was inspected."""

    outcomes: Counter[str] = field(default_factory=Counter)
    flaws: Counter[str] = field(default_factory=Counter)

    def add(self, inspected: Inspected) -> None:
        """Count one file in."""
        self.outcomes[outcome_of(inspected)] += 1
        if inspected.inspection is not None:
            self.flaws.update(found.label for found in inspected.inspection.detections)

    @property
    def all_evaluated(self) -> bool:
        """Whether every file has a verdict that says something of the part."""
        return not (self.outcomes[FAILED] or self.outcomes[Verdict.UNDEFINED.value])

    def print_to(self, console: Console) -> None:
        """Two short tables, side by side in one."""
        table = Table(title="Summary", title_justify="left")
        table.add_column("outcome")
        table.add_column("pictures", justify="right")
        table.add_column("class")
        table.add_column("flaws", justify="right")
        outcomes = [(word, self.outcomes[word]) for word in _STYLES if self.outcomes[word]]
        flaws = self.flaws.most_common()
        for row in range(max(len(outcomes), len(flaws))):
            word, pictures = outcomes[row] if row < len(outcomes) else ("", "")
            label, count = flaws[row] if row < len(flaws) else ("", "")
            styled = Text(word, style=_STYLES.get(word, ""))
            table.add_row(styled, str(pictures), Text(label), str(count))
        console.print(table)
