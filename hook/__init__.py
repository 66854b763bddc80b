"""Patch triage: is a Linux kernel change worth fuzzing, where, with which options, and why."""

__version__ = "0.1.0"
