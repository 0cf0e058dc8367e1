"""The command `mobilemamba`, called in this process as a shell would."""

from __future__ import annotations

import pytest

from mobilemamba.cli import main


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of ``mobilemamba ARGUMENTS``."""
    monkeypatch.setattr("sys.argv", ["mobilemamba", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
