"""syzkaller's descriptions of system calls: which calls exist, which resources each needs, and which drive an interface.

Descriptions are read as text, by the rules of docs/syscall_descriptions_syntax.md of syzkaller. Nothing of a checkout is run.
"""
