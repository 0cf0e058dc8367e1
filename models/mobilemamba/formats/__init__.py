"""Annotation formats: one file each, all read into `annotations.AnnotationSet`."""
