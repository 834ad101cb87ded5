"""``python -m parcelveil``."""

import sys

from parcelveil.cli import main

sys.exit(main())
