"""Processes of our own: what may crash, hang or take all memory does so apart from whoever waits for it."""
