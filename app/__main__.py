"""`python -m app` is `qvac-desktop`: how entries of the system start a program that is not frozen."""

import sys

from app.cli import main

if __name__ == "__main__":
    sys.exit(main())
