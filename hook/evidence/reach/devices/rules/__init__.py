"""The rules that give the edges of the graph. hook.evidence.reach.devices.device_solver says which edges each has seen all of."""
