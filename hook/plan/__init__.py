"""The plan: what carries verdicts out, as a directory from which a run of the fuzzer starts."""
