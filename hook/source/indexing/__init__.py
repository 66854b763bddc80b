"""Making the word index and keeping it up to date."""

FORMAT = 3  # of the index. 3: names that are defined have a row of their own, and words of generated headers are in halves
