"""What the packaged executable `qvac-desktop` runs: the command line, and the worker processes of the window."""

import sys

from app.cli import main

sys.exit(main())
