"""Prints the one command of a page that begins as told, letter by letter: page.py PAGE BEGINNING.

Commands are the lines of fenced blocks without a language or of `sh`; one that ends in a backslash goes on in the next.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def commands(page: str) -> list[str]:
    """All commands in the fenced blocks of a page, in its order."""
    text = (ROOT / page).read_text("utf-8")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    blocks = [block for language, block in fenced if language in ("", "sh")]
    joined = [block.replace("\\\n", "") for block in blocks]
    return [line for block in joined for line in block.splitlines() if line]


def main() -> None:
    page, beginning = sys.argv[1:]
    found = {command for command in commands(page) if command.startswith(beginning)}
    if len(found) != 1:
        raise SystemExit(f"{page} has {len(found)} commands that begin with: {beginning}")
    print(*found)


if __name__ == "__main__":
    main()
