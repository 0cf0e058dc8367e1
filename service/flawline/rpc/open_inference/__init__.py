"""Generated from proto/flawline/rpc/open_inference; do not edit, run `make proto`."""
