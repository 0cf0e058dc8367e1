"""Settings in a file of FLAWLINE_...=... lines, as shells, systemd and containers read it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
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
    text = _text_of(path)
    lines, changes = _merged(text.split("\n") if text else [], values)
    try:
        _replace(target, "\n".join(lines))
    except OSError as error:
        told = " ".join(f"{name}={value}" for name, value in values.items())
        raise Fault(
            f"{path} cannot be written: {error.strerror}. What was to stand there: {told}"
        ) from error
    return changes


def _text_of(path: Path) -> str:
    """As it stands, with the line ends that it has; "" where there is no file. Raises Fault."""
    target = path.resolve()
    try:
        return target.read_bytes().decode("utf-8") if target.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Fault(f"{path} cannot be written: {why}.") from error


def _replace(target: Path, text: str) -> None:
    """All of the file or nothing, its owner and mode kept: it may hold secrets. Raises OSError."""
    there = target.stat() if target.exists() else None
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    mode = 0o600 if there else 0o666  # less what the umask takes
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(text.encode())
        if there:
            with suppress(PermissionError):  # another's file in a folder of one's own
                os.chown(beside, there.st_uid, there.st_gid)
            beside.chmod(there.st_mode & 0o7777)
        beside.replace(target)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


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
    _text_of(path)


def _merged(lines: list[str], values: Mapping[str, str]) -> tuple[list[str], list[Change]]:
    """Lines without their ends; a last one that is empty is what follows the end of a file in order."""
    merged = [*lines[:-1], *filter(None, lines[-1:])]
    changes = []
    for variable, value in values.items():
        setting = re.compile(rf"(\s*(?:export\s+)?{re.escape(variable)}=)(.*?)(\r?)")
        found = [(n, match) for n, line in enumerate(merged) if (match := setting.fullmatch(line))]
        for number, match in found:  # the last one counts, and the others would mislead
            merged[number] = f"{match[1]}{value}{match[3]}"
        before = found[-1][1][2].strip().strip("'\"") if found else None
        if not found:
            merged.append(f"{variable}={value}")
        changes.append(Change(variable, before, value))
    return [*merged, ""], changes
