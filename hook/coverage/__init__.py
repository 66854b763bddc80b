"""Coverage: what somebody's fuzzer has reached, as the programs that measure it write it."""
