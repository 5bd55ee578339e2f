"""`python -m pronto_cli` is the command `pronto`."""

import sys

from pronto_cli import main

sys.exit(main())
