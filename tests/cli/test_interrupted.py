"""Ctrl-C while a command is loaded, by way of what `pip install` makes of the entry points."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# In place of the first library of some size. What a shell starts in the background ignores Ctrl-C, and so would this.
INTERRUPTS = """import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.parametrize("name", ["flawline", "mobilemamba"])
def test_ctrl_c_while_a_command_is_loaded_ends_with_130(name: str, tmp_path: Path) -> None:
    scripts = (ROOT / "pyproject.toml").read_text("utf-8")
    ((module, function),) = re.findall(rf'^{name} = "([\w.]+):(\w+)"$', scripts, re.MULTILINE)
    (tmp_path / "numpy.py").write_text(INTERRUPTS)
    path = os.pathsep.join([str(tmp_path), str(ROOT / "service"), str(ROOT / "models")])
    done = subprocess.run(
        [sys.executable, "-c", f"from {module} import {function}; {function}()", "check"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr.count("\n") == 1
