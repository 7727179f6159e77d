"""``python -m signalr_gateway``."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
