"""Version 1 of the inspection service (`package flawline.v1`)."""
