"""Writes docs/settings.md from the settings class: ``python docs/make_settings.py``. A test holds the two together."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args, get_origin

from flawline.settings import PREFIX, FlawlineSettings

HEAD = """# Settings

Read from the environment; `flawline check` says whether they hold. This page is made from
`flawline.settings` by `python docs/make_settings.py`.

| variable | default | limits | meaning |
|---|---|---|---|
"""


def settings_page() -> str:
    """The page as Markdown."""
    rows = []
    for name, field in FlawlineSettings.model_fields.items():
        default = "" if field.default in (None, ()) else f"`{field.default}`"
        limits = _choices(field.annotation) or ", ".join(filter(None, map(_limit, field.metadata)))
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {limits} | {field.description} |")
    return HEAD + "\n".join(rows) + "\n"


def _choices(kind: object) -> str:
    """The values of a setting that has a few."""
    values = get_args(kind) if get_origin(kind) is Literal else ()
    return ", ".join(f"`{value}`" for value in values)


def _limit(rule: object) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    return ", ".join(
        f"{sign} {getattr(rule, key)}" for key, sign in signs.items() if hasattr(rule, key)
    )


if __name__ == "__main__":
    Path(__file__).with_name("settings.md").write_text(settings_page(), "utf-8")
