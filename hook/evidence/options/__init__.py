"""What must be configured to build the change and to get to it."""
