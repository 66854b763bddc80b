"""The tree at one revision: the only code that runs git."""
