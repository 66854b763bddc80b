"""Rust text → facts. Pure text; imports nothing of ours but how two token lists compare."""
