"""The command `mobilemamba`, and ``python -m mobilemamba``: nothing is imported before Ctrl-C is looked for."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is loaded, which takes seconds, is 130 as later."""
    try:
        from mobilemamba.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("mobilemamba: stopped\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
