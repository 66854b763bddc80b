"""Which functions changed, and where a fuzzer can aim."""
