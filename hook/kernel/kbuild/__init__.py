"""Kbuild: under which options a file, and a line of it, is compiled."""
