"""``python -m mobilemamba``."""

from mobilemamba.cli import main

if __name__ == "__main__":
    main()
