"""C text to facts: tokens, definitions, segments, macros, types. Pure; imports nothing of ours."""
