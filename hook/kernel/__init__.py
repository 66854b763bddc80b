"""What the tree says of itself, without any patch: Kbuild, Kconfig, symbols, entry points, drivers and their tables."""
