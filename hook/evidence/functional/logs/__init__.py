"""What a change of logging calls and tracepoints can do."""
