"""Uninitialised memory: what only KMSAN sees."""
