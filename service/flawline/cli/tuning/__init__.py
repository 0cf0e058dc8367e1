"""What `flawline tune` is made of: a service to try settings on, a table, and the file that is written."""
