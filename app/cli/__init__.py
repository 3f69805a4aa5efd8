"""`qvac-desktop`: the command line. Without a verb it opens the window; the verbs need no graphics library.

Verbs, options, events and exit codes are a contract (docs/architecture.md, "Contracts that others rely on").
"""

from app.cli.main import main

__all__ = ["main"]
