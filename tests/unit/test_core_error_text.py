"""Errors in words: the cause decides, not its wrapper, and a code never stands in the sentence."""

from __future__ import annotations

import pytest

from qvac_core.core.error_text import describe
from qvac_core.delegation import owner_stops
from qvac_core.delegation.connection import connection_failed
from qvac_core.delegation.failures import error_reply, is_key_refused, provider_error
from qvac_core.errors import ConnectionClosed, DelegationError, EngineCrashed, ModelError, NetworkError, ProviderError

KEY = bytes(32)


@pytest.mark.parametrize(
    ("cause", "title"),
    [
        ("SERVER_ERROR", "The owner has not allowed your key yet."),
        ("PEER_NOT_FOUND", "No machine answers for this key."),
        ("PEER_CONNECTION_FAILED", "The machine was found but does not answer."),
        ("HOLEPUNCH_ABORTED", "Both routers block a direct path and no relay is set."),
        ("CANNOT_HOLEPUNCH", "Both routers block a direct path and no relay is set."),
    ],
)
def test_a_failed_connection_names_its_cause(cause: str, title: str) -> None:
    error = connection_failed(KEY, NetworkError("internal words", name=cause))
    described = describe(error)
    assert described.title == title
    assert described.message
    assert cause not in described.title + described.message
    assert described.name == cause


def test_a_wrapped_error_is_told_by_what_it_wraps() -> None:
    try:
        raise DelegationError("the answer failed") from ConnectionClosed("gone", name="ETIMEDOUT")
    except DelegationError as error:
        assert describe(error).title == "The machine went offline."


def test_a_provider_that_does_not_admit_us() -> None:
    error = ProviderError("…", code=52420, typed_fields={"reason": "not_admitted"})
    assert describe(error).title == "The owner has not allowed your key yet."


@pytest.mark.parametrize(
    ("stop", "title"),
    [
        (owner_stops.STOPPED, "The owner stopped this answer."),
        (owner_stops.SHARING_OFF, "The machine stopped sharing."),
        (owner_stops.MODEL_OFF, "The owner no longer shares this model."),
        (owner_stops.BLOCKED, "The owner blocked your key."),
        (owner_stops.EXPIRED, "The time for which the owner allowed your key is over."),
        (owner_stops.NO_LONGER_ALLOWED, "The owner no longer allows your key."),
    ],
)
def test_what_an_owner_did_is_told_as_that(stop: owner_stops.OwnerStop, title: str) -> None:
    heard = provider_error(error_reply(stop.rejection()))
    described = describe(heard)
    assert described.title == title and described.message
    assert is_key_refused(heard) is (stop in (owner_stops.BLOCKED, owner_stops.EXPIRED, owner_stops.NO_LONGER_ALLOWED))


def test_the_engines_end_and_an_unshared_model() -> None:
    assert describe(EngineCrashed("exit 134")).message == "This request was lost. Send it again."
    assert "does not share" in describe(ProviderError("…", name="MODEL_NOT_FOUND", code=52002)).title


def test_an_error_without_words_of_its_own_keeps_its_sentence() -> None:
    described = describe(ModelError("The file is not a GGUF model. Choose another one.", name="MODEL_FILE_INVALID"))
    assert (described.title, described.message) == ("The file is not a GGUF model.", "Choose another one.")


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (42 * 60_000, "Its owner paused it. Ask again in 42 min, or choose another machine."),
        (1, "Its owner paused it. Ask again in 1 min, or choose another machine."),
        (8 * 3_600_000, "Its owner paused it. Ask again in 8 h, or choose another machine."),
        (None, "Ask again later, or choose another machine."),
        (-5, "Ask again later, or choose another machine."),
        (1e30, "Ask again later, or choose another machine."),
        (float("nan"), "Ask again later, or choose another machine."),
        ("soon", "Ask again later, or choose another machine."),
    ],
)
def test_a_machine_that_rests_says_when_to_ask_again(wanted: object, sentence: str) -> None:
    fields = {"reason": "paused"} if wanted is None else {"reason": "paused", "retryAfterMs": wanted}
    told = describe(ProviderError("…", code=52420, typed_fields=fields))
    assert (told.title, told.message) == ("The machine is not taking requests now.", sentence)
