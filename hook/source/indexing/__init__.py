"""Making the word index and keeping it up to date."""
