"""Probes of drivers for chips that user space emulates: what they cannot do without, and what runs where they fail."""
