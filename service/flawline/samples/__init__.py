"""Procedural steel frames with drawn-in flaws and exact ground truth.

Tests and the demo need pictures that may be published; real data sets may not. The frames imitate
hot-rolled strip as the NEU-DET benchmark shows it (200x200 grey, six classes of flaws), down to
the grain, the bands and the usual sizes, so that a detector trained on real steel finds them.
Everything is drawn from a seed; no picture is stored here.
"""
