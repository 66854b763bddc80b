"""A whole archive judged: on one machine, or on as many as there are."""
