"""Processes that we start beside git: our own Python, and the command that prints a secret."""
