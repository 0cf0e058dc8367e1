"""The science: the MobileMamba detector, its training, evaluation and export (needs the extra `train`)."""
