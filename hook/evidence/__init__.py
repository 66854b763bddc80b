"""Evidence: what is proved of a patch without a model."""
