"""Labelled instances: read, drawn, and encoded, with the pictures that a support cache keeps of them."""
