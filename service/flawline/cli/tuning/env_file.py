"""Settings in a file of FLAWLINE_...=... lines, as shells, systemd and containers read it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flawline.cli.fault import Fault


@dataclass(frozen=True, slots=True)
class Change:
    """One variable; before: what the file said, None where it said nothing."""

    variable: str
    before: str | None
    after: str

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.variable}={self.after} (new)"
        if self.before == self.after:
            return f"{self.variable}={self.after} (as before)"
        return f"{self.variable}={self.after} (was {self.before})"


def write_settings(path: Path, values: Mapping[str, str]) -> list[Change]:
    """Set these variables, and leave every other line as it is. Raises Fault.

    The file is replaced as a whole, so that a service that starts meanwhile reads the old or the new one.
    """
    target = path.resolve()
    try:
        text = target.read_text("utf-8") if target.exists() else ""
        lines, changes = _merged(text.splitlines(), values)
        beside = target.with_name(f".{target.name}.new")
        beside.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        if target.exists():
            beside.chmod(target.stat().st_mode & 0o7777)
        beside.replace(target)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Fault(f"{path} cannot be written: {why}.") from error
    return changes


def check_writable(path: Path) -> None:
    """Before minutes are spent on what is to stand there. Raises Fault."""
    target = path.resolve()
    if target.is_dir():
        raise Fault(f"{path} is a folder; name a file, such as {path / 'flawline.env'}.")
    if not target.parent.is_dir():
        raise Fault(f"There is no folder {target.parent} to write {target.name} into.")
    if not os.access(target.parent, os.W_OK) or (
        target.exists() and not os.access(target, os.W_OK)
    ):
        raise Fault(f"{path} cannot be written: permission denied.")


def _merged(lines: list[str], values: Mapping[str, str]) -> tuple[list[str], list[Change]]:
    merged = list(lines)
    changes = []
    for variable, value in values.items():
        setting = re.compile(rf"(\s*(?:export\s+)?{re.escape(variable)}=)(.*)")
        found = [(n, match) for n, line in enumerate(merged) if (match := setting.fullmatch(line))]
        for number, match in found:  # the last one counts, and the others would mislead
            merged[number] = f"{match[1]}{value}"
        before = found[-1][1][2].strip().strip("'\"") if found else None
        if not found:
            merged.append(f"{variable}={value}")
        changes.append(Change(variable, before, value))
    return merged, changes
