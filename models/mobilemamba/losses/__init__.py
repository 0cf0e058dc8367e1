"""One loss a file, each a function of tensors."""
