"""Where a verdict is kept: note, trailer, file; what waits to be written; and the cache."""
