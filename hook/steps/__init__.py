"""The steps of the flow: proving, and the consultation of agents."""
