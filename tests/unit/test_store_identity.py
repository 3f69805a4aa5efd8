"""The identity: made once, kept private, never silently replaced.

qvac_core/store/identity.py.
"""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from qvac_core.errors import IdentityError, StoreError
from qvac_core.store import DataDir, Identity, IdentityStore, SeedSource

SEED, OTHER = bytes(range(32)), bytes(range(32, 64))


class FakeKeyring:
    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        return self.secrets.get(name)

    def set(self, name: str, secret: str) -> None:
        self.secrets[name] = secret


class NoKeyring(FakeKeyring):
    """A headless Linux: keyring.errors.NoKeyringError is a RuntimeError."""

    def get(self, name: str) -> str | None:
        raise RuntimeError("No recommended backend was available.")

    def set(self, name: str, secret: str) -> None:
        raise RuntimeError("No recommended backend was available.")


class ForgetfulKeyring(FakeKeyring):
    """keyring.backends.null: takes everything, knows nothing."""

    def set(self, name: str, secret: str) -> None: ...


class HangingKeyring(FakeKeyring):
    """A keyring that asks for a password where nobody sees the question."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def get(self, name: str) -> str | None:
        self.release.wait()
        return None

    def set(self, name: str, secret: str) -> None:
        self.release.wait()


def store(
    root: Path,
    keyring: FakeKeyring,
    *,
    explicit: bool = False,
    environ: dict[str, str] | None = None,
    random: bytes = SEED,
    keyring_seconds: float = 15.0,
) -> IdentityStore:
    return IdentityStore(
        DataDir(root, explicit),
        keyring=keyring,
        environ=environ or {},
        keyring_seconds=keyring_seconds,
        random_bytes=lambda size: random[:size],
    )


def test_made_once_and_kept_on_the_keyring(tmp_path: Path) -> None:
    keyring = FakeKeyring()
    assert store(tmp_path / "new", keyring).load() == Identity(SEED, SeedSource.KEYRING, created=True)
    assert SEED.hex() not in (tmp_path / "new" / "identity").read_text()
    assert store(tmp_path / "new", keyring, random=OTHER).load() == Identity(SEED, SeedSource.KEYRING)


@pytest.mark.parametrize("keyring", [NoKeyring(), ForgetfulKeyring()], ids=["none", "forgetful"])
def test_without_a_keyring_the_file_is_the_place(tmp_path: Path, keyring: FakeKeyring) -> None:
    assert store(tmp_path, keyring).load() == Identity(SEED, SeedSource.FILE, created=True)
    assert store(tmp_path, keyring, random=OTHER).load() == Identity(SEED, SeedSource.FILE)
    if os.name != "nt":
        assert stat.S_IMODE((tmp_path / "identity").stat().st_mode) == 0o600
    # A keyring that turns up later does not change who we are.
    assert store(tmp_path, FakeKeyring(), random=OTHER).load().seed == SEED


def test_a_hanging_keyring_does_not_hang_us(tmp_path: Path) -> None:
    keyring = HangingKeyring()
    try:
        identity = store(tmp_path, keyring, keyring_seconds=0.01).load()
        assert identity == Identity(SEED, SeedSource.FILE, created=True)
    finally:
        keyring.release.set()


def test_two_folders_are_two_people(tmp_path: Path) -> None:
    keyring = FakeKeyring()
    a = store(tmp_path / "a", keyring, explicit=True).load()
    b = store(tmp_path / "b", keyring, explicit=True, random=OTHER).load()
    assert (a.source, b.source) == (SeedSource.FILE, SeedSource.FILE)
    assert a.seed != b.seed
    assert keyring.secrets == {}


def test_silent_keyring_never_means_a_new_key(tmp_path: Path) -> None:
    keyring = FakeKeyring()
    store(tmp_path, keyring).load()
    with pytest.raises(IdentityError, match="does not answer"):
        store(tmp_path, NoKeyring(), random=OTHER).load()
    for lost in (None, "not a seed"):
        keyring.secrets = {} if lost is None else {"identity": lost}
        with pytest.raises(IdentityError, match="not hold your identity any more"):
            store(tmp_path, keyring, random=OTHER).load()
    keyring.secrets = {"identity": SEED.hex()}
    assert store(tmp_path, keyring, random=OTHER).load().seed == SEED


def test_keyring_that_outlived_the_folder_is_believed(tmp_path: Path) -> None:
    keyring = FakeKeyring()
    keyring.secrets = {"identity": SEED.hex()}
    assert store(tmp_path, keyring, random=OTHER).load() == Identity(SEED, SeedSource.KEYRING)
    assert keyring.secrets == {"identity": SEED.hex()}


def test_option_then_environment_then_what_is_kept(tmp_path: Path) -> None:
    keyring = NoKeyring()
    store(tmp_path, keyring).load()
    environ = {"QVAC_HYPERSWARM_SEED": OTHER.hex().upper()}
    assert store(tmp_path, keyring, environ=environ).load() == Identity(OTHER, SeedSource.ENVIRONMENT)
    assert store(tmp_path, keyring, environ=environ).load("07" * 32) == Identity(b"\7" * 32, SeedSource.OPTION)
    assert store(tmp_path, keyring, environ={"QVAC_HYPERSWARM_SEED": ""}).load().seed == SEED


def test_seed_for_this_run_touches_no_disk(tmp_path: Path) -> None:
    store(tmp_path / "none", FakeKeyring()).load(SEED.hex())
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text", ["", "12", "zz" * 32, "00" * 33, "00" * 31 + "0g"])
def test_seed_that_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(IdentityError, match="64 hex digits"):
        store(tmp_path, FakeKeyring()).load(text)
    if text:
        with pytest.raises(IdentityError, match=r"QVAC_HYPERSWARM_SEED.*64 hex digits"):
            store(tmp_path, FakeKeyring(), environ={"QVAC_HYPERSWARM_SEED": text}).load()


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"abc", b"keyringx", b"00" * 31])
def test_damaged_file_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "identity").write_bytes(content)
    with pytest.raises(IdentityError, match="damaged"):
        store(tmp_path, FakeKeyring()).load()
    assert (tmp_path / "identity").read_bytes() == content


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_file_readable_by_others_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    path.write_text(SEED.hex())
    path.chmod(0o644)
    assert store(tmp_path, NoKeyring()).load().seed == SEED
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "identity").mkdir()
    with pytest.raises(StoreError, match="read the identity"):
        store(tmp_path, FakeKeyring()).load()


def test_loser_of_a_race_takes_what_the_winner_made(tmp_path: Path) -> None:
    first = store(tmp_path, NoKeyring())

    def winner_comes_in_between(size: int) -> bytes:
        first.load()
        return OTHER[:size]

    second = IdentityStore(DataDir(tmp_path), keyring=NoKeyring(), environ={}, random_bytes=winner_comes_in_between)
    assert second.load() == Identity(SEED, SeedSource.FILE)


def test_the_systems_keyring_is_asked_by_our_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    kept: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(keyring, "get_password", lambda service, name: kept.get((service, name)))
    monkeypatch.setattr(keyring, "set_password", lambda service, name, secret: kept.update({(service, name): secret}))
    identity = IdentityStore(DataDir(tmp_path), environ={}).load()
    assert identity.source is SeedSource.KEYRING
    assert kept == {("qvac-desktop", "identity"): identity.seed.hex()}


def test_replaced_on_purpose(tmp_path: Path) -> None:
    for keyring, source in ((FakeKeyring(), SeedSource.KEYRING), (NoKeyring(), SeedSource.FILE)):
        identities = store(tmp_path / source.value, keyring)
        identities.load()
        assert identities.replace(OTHER) == Identity(OTHER, source)
        assert identities.load() == Identity(OTHER, source)
        with pytest.raises(IdentityError, match="31"):
            identities.replace(bytes(31))


def test_identity_does_not_print_its_seed() -> None:
    assert repr(SEED) not in repr(Identity(SEED, SeedSource.FILE))
    assert "seed=" not in repr(Identity(SEED, SeedSource.FILE))
