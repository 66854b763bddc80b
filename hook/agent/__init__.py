"""The agent: a model with read-only tools over the tree under review, asked what the evidence left open."""
