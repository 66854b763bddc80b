"""Kconfig: the options of a tree, and which of them a person has to set."""
