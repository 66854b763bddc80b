"""What git calls: one function a stage, each given the arguments and the standard input that githooks(5) describes."""
