"""Other servers, each configured as its own documentation advises, serving the same file by the same detector."""
