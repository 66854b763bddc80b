"""What drivers bind to, and which devices a virtual machine has."""
