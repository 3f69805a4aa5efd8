"""What the packaged executable `qvac-desktop-window` runs: the same program, with Qt beside it."""

import sys

from app.cli import main

sys.exit(main())
