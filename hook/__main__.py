"""`python -I -m hook` is `patch-triage`. Without -I Python takes modules from the current directory."""

import sys

from hook.cli import main

sys.exit(main())
