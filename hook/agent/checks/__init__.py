"""What a model says, held against the tree."""
