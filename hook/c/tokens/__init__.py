"""Tokens: whether two versions of a text are the same to the compiler."""
