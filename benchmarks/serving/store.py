"""What was measured so far, one JSON object a line, so that nothing is lost and a broken run goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class OtherRun(Exception):  # noqa: N818 - it says what was found
    """The folder holds figures of another configuration, which must not be mixed with these."""


class Store:
    """The rows of one run in a folder, with what must be the same for all of them."""

    def __init__(self, folder: Path, same: Mapping[str, Any], *, fresh: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._path = folder / "rows.jsonl"
        run_path = folder / "run.json"
        if fresh:
            self._path.unlink(missing_ok=True)
            run_path.unlink(missing_ok=True)
            # What is in them was told by the code of then.
            shutil.rmtree(folder / "pictures", ignore_errors=True)
        if run_path.exists():
            there = json.loads(run_path.read_text("utf-8"))
            if changed := sorted(key for key in same if there.get(key) != same[key]):
                told = ", ".join(f"{key}: {there.get(key)} and now {same[key]}" for key in changed)
                raise OtherRun(
                    f"{folder} holds another run ({told}): use --fresh to begin anew, or another --out"
                )
        run_path.write_text(json.dumps(dict(same), indent=1), "utf-8")
        self.rows: list[Row] = []
        if self._path.exists():
            lines = self._path.read_text("utf-8").splitlines()
            self.rows = [json.loads(line) for line in lines if line.endswith("}")]

    def has(self, **key: Any) -> bool:
        """Whether there is a row with these values."""
        return any(all(row.get(k) == v for k, v in key.items()) for row in self.rows)

    def add(self, **row: Any) -> None:
        """Written at once."""
        self.rows.append(row)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")

    def forget(self, **key: Any) -> None:
        """Drop rows with these values, which are true no more."""
        kept = [row for row in self.rows if any(row.get(k) != v for k, v in key.items())]
        if len(kept) < len(self.rows):
            self.rows = kept
            lines = "".join(json.dumps(row) + "\n" for row in kept)
            self._path.write_text(lines, "utf-8")

    def part(self, name: str) -> list[Row]:
        """The rows of one part."""
        return [row for row in self.rows if row["part"] == name]
