"""The change: from diff text to files and hunks."""
