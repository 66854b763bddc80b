"""What the build of the kernel says: under which options a line of the tree is compiled, and how to have them."""
