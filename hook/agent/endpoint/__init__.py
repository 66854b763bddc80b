"""The endpoint: transport, what each server needs otherwise, reading replies."""
