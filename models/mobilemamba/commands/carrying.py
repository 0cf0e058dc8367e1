"""The card of an artifact that a command makes from another one."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from flawspec.artifact import read_manifest, sha256_file
from mobilemamba.carried_card import NO_CARD, Derived, carried_over
from mobilemamba.whole_file import write_whole


def write_card(
    card: str | None,
    source: Path,
    artifact: Path,
    how: str,
    section: tuple[str, ...] = (),
    likeness: str = "",
) -> None:
    """Beside `artifact`, from `card`, that of `source`; where there was none, this is said.

    how: was it made, in a word. section: its own figures or thresholds. likeness: what it has in common with `source`.
    """
    if card is None:
        click.echo(f"{artifact}: {NO_CARD}", err=True)
        return
    manifest = read_manifest(artifact)
    made = Derived(
        source=source,
        source_name=read_manifest(source).model_name,
        artifact=artifact,
        name=manifest.model_name,
        version=manifest.model_version,
        sha256=sha256_file(artifact),
        size_bytes=artifact.stat().st_size,
        fact=f"| {how} | from `{source.name}` (sha256 `{sha256_file(source)}`){likeness} |",
        command=_this_command(),
        section=section,
    )
    write_whole(artifact.with_suffix(".md"), carried_over(card, made))


def _this_command() -> str:
    """The one that runs, to be pasted; options that have their default are left out."""
    context = click.get_current_context()
    words = ["mobilemamba", str(context.info_name)]
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if value is not None and value != parameter.get_default(context):
            named = [] if isinstance(parameter, click.Argument) else [parameter.opts[0]]
            words += [*named, str(value)]
    return shlex.join(words)
