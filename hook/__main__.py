"""`python -m hook` is `patch-triage`."""

import sys

from hook.cli import main

sys.exit(main())
