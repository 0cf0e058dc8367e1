"""The commands of `mobilemamba`, one file for each part of the work."""
