"""One technology a file; none imports another, all are put together in `flawline.bootstrap`."""
