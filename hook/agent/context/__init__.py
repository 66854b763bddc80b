"""What a model is shown first."""
