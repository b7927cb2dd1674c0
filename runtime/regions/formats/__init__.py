"""Annotation formats, one file each: what they say becomes regions."""
