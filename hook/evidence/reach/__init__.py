"""Can a fuzzer get there?"""
