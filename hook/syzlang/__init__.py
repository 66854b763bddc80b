"""What syzkaller's descriptions say of system calls: which there are, what each needs of others, and which reach an interface.

Descriptions are read as text, by the rules of docs/syscall_descriptions_syntax.md of syzkaller. Nothing of a checkout is run.
"""
