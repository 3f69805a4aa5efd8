"""Sentences of the core about the endpoint for programs, as `app/core_words.py` knows them."""

from __future__ import annotations

from app.i18n import later

WHOLE = (
    later("The endpoint is off. Switch it on first."),
    later("The endpoint answered in a way that was not expected."),
    later("This model cannot be asked in words. Choose a chat model."),
    later("The connection ended while the models were asked for."),
    later("The person at this machine stopped this request."),
    later("The endpoint was switched off."),
)

WITH_FIELDS = (
    later(
        "Another program uses port {port} on this machine. Port {free} is free: use that one, or end the other program."
    ),
    later("This machine cannot listen at {address}: {reason}."),
    later(
        "Programs reach this at {address} already. To have it at another address, switch it off first, under For "
        "programs."
    ),
    later("{machine} answered without a word."),
    later("The endpoint did not answer: {reason}."),
    later("'{text}' is no address of a page. Write it as in https://chat.example.com, without a path."),
    later("{count} pages at most may be allowed."),
    later("{model} is not on this machine any more."),
    later(
        "The token of programs is in the system's keyring, which does not answer ({reason}). Unlock it and try again, "
        "or make a new token."
    ),
)
