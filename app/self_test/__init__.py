"""`qvac-desktop --self-test`: does this installation work, each of its parts tried as the window and the verbs use it.

A packaged program that merely starts proves nothing: its worker processes, native libraries and data files come in when
they are needed. Everything here happens in a temporary folder and on this machine's own loopback network; nothing is
asked of the internet, and the person's own data is not looked at.
"""

from app.self_test.steps import self_test

__all__ = ["self_test"]
