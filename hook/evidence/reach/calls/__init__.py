"""Call paths from entry points to changed functions."""
