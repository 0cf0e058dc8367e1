"""The card of an artifact that was made from another one: what still holds, and what is its own."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from mobilemamba.export import ExportError

NO_CARD = "there was no card beside the artifact to carry over, so this one has none"


@dataclass(frozen=True)
class Derived:
    """An artifact and what it was made from.

    Attributes:
        source, source_name: the other one's file and the name in its manifest.
        artifact, name, version, sha256, size_bytes: the new one's.
        fact: a row of the table that says how it was made.
        command: that made it.
        section: of the new one's own figures or thresholds; those in the card are the other one's then.
    """

    source: Path
    source_name: str
    artifact: Path
    name: str
    version: str
    sha256: str
    size_bytes: int
    fact: str
    command: str
    section: tuple[str, ...] = ()


def card_of(artifact: Path, name: str) -> str | None:
    """The card beside the artifact of that name; None where there is none.

    Raises:
        ExportError: it is not one that `mobilemamba export` wrote.
    """
    path = artifact.with_suffix(".md")
    if not path.exists():
        return None
    try:
        card = path.read_text("utf-8")
    except ValueError as error:
        raise ExportError(f"{path} is no text in UTF-8; save it as that") from error
    if missing := {f"# {name}", "| file", "| sha256", "| made"} - set(
        map(_start, card.splitlines())
    ):
        raise ExportError(
            f"{path} is no card of `mobilemamba export`: it has no line {min(missing)!r}; mend it, or move it away"
        )
    return card


def carried_over(card: str, made: Derived) -> str:
    """The card of `made`, from that of its source as `card_of` gives it."""
    artifact = shlex.quote(made.artifact.as_posix())
    lines: list[str] = []
    section = made.section
    for line in card.splitlines():
        start = _start(line)
        if start == f"# {made.source_name}":
            lines.append(f"# {made.name} {made.version}")
        elif start == "| file":
            lines.append(f"| file | `{made.artifact.name}`, {made.size_bytes / 1e6:.1f} MB |")
        elif start == "| sha256":
            lines.append(f"| sha256 | `{made.sha256}` |")
        elif start == "| made":
            lines += [line, made.fact]
        elif start == "mobilemamba evaluate":
            _, given, options = line.partition(" --coco")
            lines += [made.command, f"{start} {artifact}{given}{options}"]
        elif line == "```" and made.command not in lines:
            lines += [made.command, line]
        elif line.startswith("## ") and section:
            lines += [*section, "", _of_source(line, made)]
            section = ()
        else:
            lines.append(_of_source(line, made))
    return "\n".join((*lines, ""))


def _of_source(line: str, made: Derived) -> str:
    """What was measured is said of the file that it was measured on: another graph, INT8 say, does otherwise."""
    if not made.section:
        return line
    own = f"of `{made.source.name}`"
    line = line.replace("## Figures on ", f"## Figures {own} on ")
    return line.replace("| PyTorch and ONNX Runtime |", f"| PyTorch and ONNX Runtime {own} |")


def _start(line: str) -> str:
    return " ".join(line.split()[:2])
