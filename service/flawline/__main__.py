"""`python -m flawline` is `flawline`."""

from flawline.cli import main

if __name__ == "__main__":
    main()
