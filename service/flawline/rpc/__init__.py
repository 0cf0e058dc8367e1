"""Generated code of the wire contracts in `proto/`; `make proto` makes it again, nobody edits it."""
