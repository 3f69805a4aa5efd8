"""Chats on disk: found again by who may, as they were; never one that was changed, cut short or of another model."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from qvac_core.engines.checkpoints import Checkpoint
from qvac_core.engines.interface import EVERYBODY, LOCAL_OWNER, KeptChats
from qvac_core.engines.kept_chats import OLDEST, PIECE, Shelf, fingerprint_of, remove_all
from qvac_core.engines.state_cache import SavedChat

GIB = 1024**3
MODEL = b"a model"
GUEST = "ab" * 32
TOKENS = list(range(1000, 1400))


@pytest.fixture
def kept(tmp_path: Path) -> KeptChats:
    return KeptChats(str(tmp_path / "kept"), bytes(range(32)), GIB)


def chat(tokens: list[int] = TOKENS, owner: str = LOCAL_OWNER, size: int = 3 * PIECE + 17) -> SavedChat:
    state = bytearray(os.urandom(size))
    return SavedChat(owner, list(tokens), state, (Checkpoint(100, bytearray(os.urandom(99))),))


def found(shelf: Shelf, prompt: list[int] = TOKENS, owner: str = LOCAL_OWNER) -> SavedChat | None:
    kept = shelf.find(owner, prompt, 0, GIB)
    return shelf.read(kept) if kept is not None else None


def files(kept: KeptChats) -> list[Path]:
    return sorted(Path(kept.folder).iterdir())


def test_a_chat_comes_back_as_it_was_in_another_process(kept: KeptChats) -> None:
    written = chat()
    assert Shelf(kept, MODEL).write(written)
    back = found(Shelf(kept, MODEL), [*TOKENS, 5, 6])
    assert back is not None
    assert (back.owner, back.tokens, back.state) == (written.owner, written.tokens, written.state)
    assert [(one.tokens, one.state) for one in back.checkpoints] == [(100, written.checkpoints[0].state)]


def test_nothing_of_it_can_be_read_in_the_file(kept: KeptChats) -> None:
    written = chat(owner=GUEST)
    Shelf(dataclasses.replace(kept, guests=True), MODEL).write(written)
    (file,) = files(kept)
    content = file.read_bytes()
    assert bytes(written.state[:64]) not in content
    assert TOKENS[0].to_bytes(4, "little") + TOKENS[1].to_bytes(4, "little") not in content
    assert GUEST.encode() not in content
    assert os.name == "nt" or file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("other", ["key", "model", "owner"])
def test_another_identity_model_or_owner_finds_nothing(kept: KeptChats, other: str) -> None:
    Shelf(kept, MODEL).write(chat())
    key = bytes(32) if other == "key" else kept.key
    shelf = Shelf(dataclasses.replace(kept, key=key), b"another" if other == "model" else MODEL)
    assert found(shelf, owner=GUEST if other == "owner" else LOCAL_OWNER) is None


@pytest.mark.parametrize("harm", ["cut", "flipped", "longer", "empty", "swapped"])
def test_a_file_that_is_not_whole_is_no_chat_and_goes(kept: KeptChats, harm: str) -> None:
    Shelf(kept, MODEL).write(chat())
    shelf = Shelf(kept, MODEL)
    (file,) = files(kept)
    content = bytearray(file.read_bytes())
    if harm == "cut":
        content = content[: 2 * PIECE]
    elif harm == "flipped":
        content[len(content) // 2] ^= 1
    elif harm == "longer":
        content = content[:-3000] + content[-4000:]
    elif harm == "empty":
        content = bytearray()
    else:
        content[PIECE : PIECE + 64], content[2 * PIECE : 2 * PIECE + 64] = (
            content[2 * PIECE : 2 * PIECE + 64],
            content[PIECE : PIECE + 64],
        )
    file.write_bytes(content)
    assert found(shelf) is None
    assert len(shelf) == 0
    assert files(kept) == []


def test_a_file_that_is_gone_is_no_chat(kept: KeptChats) -> None:
    shelf = Shelf(kept, MODEL)
    shelf.write(chat())
    remove_all(Path(kept.folder))
    assert found(shelf) is None


def test_a_longer_chat_takes_the_place_of_its_beginning_and_is_not_written_twice(kept: KeptChats) -> None:
    shelf = Shelf(kept, MODEL)
    assert shelf.write(chat(TOKENS[:200]))
    assert shelf.write(chat(TOKENS))
    assert not shelf.write(chat(TOKENS))
    assert not shelf.write(chat(TOKENS[:300]))
    assert len(files(kept)) == 1
    again = Shelf(kept, MODEL)
    assert len(again) == 1
    back = found(again)
    assert back is not None and back.tokens == TOKENS


def test_a_guests_chat_is_kept_only_where_the_owner_says_so(kept: KeptChats) -> None:
    assert not Shelf(kept, MODEL).write(chat(owner=GUEST))
    everybody = dataclasses.replace(kept, guests=True)
    assert Shelf(everybody, MODEL).write(chat(owner=GUEST))
    assert found(Shelf(everybody, MODEL), owner=GUEST) is not None


def test_short_chats_are_read_again_instead(kept: KeptChats) -> None:
    assert not Shelf(kept, MODEL).write(chat(TOKENS[:20]))


def test_the_budget_holds_oldest_first_and_guests_never_push_out_the_owner(kept: KeptChats) -> None:
    small = dataclasses.replace(kept, budget_bytes=10 * PIECE, guests=True)
    shelf = Shelf(small, MODEL)
    mine = [list(range(at, at + 200)) for at in (0, 1000)]
    for tokens in mine:
        assert shelf.write(chat(tokens, size=2 * PIECE))
    for at in range(10_000, 15_000, 1000):
        assert shelf.write(chat(list(range(at, at + 200)), GUEST, size=2 * PIECE))
    assert not shelf.write(chat(list(range(200)), GUEST, size=6 * PIECE))  # more than all guests may have
    assert [found(shelf, tokens) is not None for tokens in mine] == [True, True]
    assert found(shelf, list(range(14_000, 14_200)), GUEST) is not None
    assert found(shelf, list(range(10_000, 10_200)), GUEST) is None
    assert shelf.write(chat(list(range(20_000, 20_200)), size=5 * PIECE))  # the owner's own takes the guests' place
    assert [found(shelf, tokens) is not None for tokens in mine] == [True, True]
    assert sum(file.stat().st_size for file in files(kept)) < 10.1 * PIECE


def test_guests_have_what_the_owners_own_leave_of_the_budget(kept: KeptChats) -> None:
    shelf = Shelf(dataclasses.replace(kept, budget_bytes=10 * PIECE, guests=True), MODEL)
    for number in range(3):
        assert shelf.write(chat([number, *range(200)], size=int(2.5 * PIECE)))
    assert shelf.write(chat([1, *range(200)], GUEST, size=2 * PIECE))
    assert shelf.write(chat([2, *range(200)], GUEST, size=2 * PIECE))
    assert not shelf.write(chat([3, *range(200)], GUEST, size=3 * PIECE))
    assert sum(file.stat().st_size for file in files(kept)) <= 10 * PIECE
    assert len(shelf) == 4


def test_old_ones_go(kept: KeptChats) -> None:
    Shelf(kept, MODEL).write(chat())
    (file,) = files(kept)
    late = file.stat().st_mtime + OLDEST + 1
    assert len(Shelf(kept, MODEL, now=lambda: late)) == 0
    assert files(kept) == []


def test_what_an_owner_wants_forgotten_is_gone(kept: KeptChats) -> None:
    everybody = dataclasses.replace(kept, guests=True)
    shelf = Shelf(everybody, MODEL)
    shelf.write(chat())
    shelf.write(chat(owner=GUEST))
    shelf.forget(LOCAL_OWNER)
    assert found(shelf) is None
    assert found(shelf, owner=GUEST) is not None
    shelf.forget(EVERYBODY)
    assert files(kept) == []


def test_a_folder_that_cannot_be_made_keeps_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    shelf = Shelf(KeptChats(str(tmp_path / "file" / "kept"), bytes(32), GIB), MODEL)
    assert not shelf.write(chat())
    assert found(shelf) is None


def test_a_model_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    one, moved, other = tmp_path / "one", tmp_path / "moved", tmp_path / "other"
    content = os.urandom(5_000_000)
    one.write_bytes(content)
    moved.write_bytes(content)
    other.write_bytes(content[:2_500_000] + os.urandom(200_000) + content[2_700_000:])
    assert fingerprint_of([one], "1.0") == fingerprint_of([moved], "1.0")
    assert fingerprint_of([one], "1.0") != fingerprint_of([other], "1.0")
    assert fingerprint_of([one], "1.0") != fingerprint_of([one], "1.1")
