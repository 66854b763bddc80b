"""What a model may ask of the tree under review."""
