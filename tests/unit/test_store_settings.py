"""Settings: typed, kept across power cuts and newer versions, and never a reason not to start.

qvac_core/store/settings.py, settings_file.py and disk.py.
"""

from __future__ import annotations

import errno
import os
import stat
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest

from qvac_core.errors import StoreError
from qvac_core.store import Admission, Settings, SettingsFile, SharingSettings, Theme
from qvac_core.store.disk import create_once, write_atomically
from qvac_core.store.settings import (
    ChatSettings,
    EngineSettings,
    LibrarySettings,
    MannersSettings,
    ModelOptions,
    NetworkSettings,
    ProgramsSettings,
    SpeechSettings,
    definition,
)

NOW = 1_750_000_000.0
CHANGED = Settings(
    theme=Theme.DARK,
    tab='Käthe\'s "PC"\n',
    sharing=SharingSettings(admission=Admission.DENY, knocks=False, models=("a", "b"), log_days=7),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def test_no_file_means_defaults_and_no_word(path: Path) -> None:
    file = SettingsFile(path, now=NOW)
    assert file.settings == Settings()
    assert file.notice is None
    assert not path.exists()


def test_saved_settings_come_back(path: Path) -> None:
    SettingsFile(path, now=NOW).save(CHANGED)
    file = SettingsFile(path, now=NOW)
    assert file.settings == CHANGED
    assert file.notice is None
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["settings.toml"]


def test_unknown_keys_stay(path: Path) -> None:
    path.write_text('theme = "light"\nfuture = [1, 2]\n[sharing]\nhours = "8-20"\n[mine]\nx = 2026-01-02\n')
    file = SettingsFile(path, now=NOW)
    assert file.settings.theme is Theme.LIGHT
    file.save(replace(file.settings, theme=Theme.DARK))
    document = tomllib.loads(path.read_text())
    assert document["theme"] == "dark"
    assert document["future"] == [1, 2]
    assert document["sharing"]["hours"] == "8-20"
    assert document["mine"]["x"].isoformat() == "2026-01-02"


@pytest.mark.parametrize(
    "content",
    [b"theme = ", b"\xff\xfe", b"[a]\n[a]\n", b"a = 1\na = 2", b"x = " + b"[" * 5000, b"#" * (1 << 20) + b"\n"],
    ids=["cut off", "not UTF-8", "section twice", "key twice", "deep", "huge"],
)
def test_broken_file_is_set_aside_and_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    file = SettingsFile(path, now=NOW)
    assert file.settings == Settings()
    (kept,) = path.parent.iterdir()
    assert kept.name.startswith("settings.toml.corrupt-20")
    assert kept.read_bytes() == content
    assert file.notice is not None
    assert kept.name in file.notice


@pytest.mark.parametrize("content", [b"x = " + b"[" * 300 + b"]" * 300, b".".join([b"x"] * 400) + b" = 1"])
def test_a_file_too_deep_to_be_written_again_is_set_aside(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    file = SettingsFile(path, now=NOW)
    assert file.notice is not None and "nested" in file.notice
    file.save(CHANGED)
    assert SettingsFile(path, now=NOW).settings == CHANGED


def test_wrong_values_are_named_and_the_rest_applies(path: Path) -> None:
    path.write_text(
        'theme = "purple"\ntab = "chat"\nreduced_motion = 1\nchat = "x"\n'
        '[sharing]\nknocks = false\nlog_days = true\nmodels = ["a", 1]\nadmission = []\n'
    )
    file = SettingsFile(path, now=NOW)
    assert file.settings == Settings(tab="chat", sharing=SharingSettings(knocks=False))
    assert file.notice is not None
    for name in (
        "theme",
        "reduced_motion",
        "chat",
        "sharing.log_days",
        "sharing.models",
        "sharing.admission",
    ):
        assert name in file.notice
    assert "sharing.knocks" not in file.notice


def test_negative_number_keeps_the_default(path: Path) -> None:
    path.write_text("[sharing]\nlog_days = -1\n")
    assert SettingsFile(path, now=NOW).settings.sharing.log_days == 90


def test_settings_by_text(path: Path) -> None:
    file = SettingsFile(path, now=NOW)
    assert file.text("theme") == "system"
    assert file.text("window.geometry") == ""
    file.set_text("theme", "dark")
    file.set_text("sharing.knocks", "false")
    file.set_text("sharing.log_days", "30")
    file.set_text("window.geometry", "1,2,3")
    again = SettingsFile(path, now=NOW)
    assert again.settings.theme is Theme.DARK
    assert again.settings.sharing.knocks is False
    assert again.settings.sharing.log_days == 30
    assert [again.text(name) for name in ("theme", "sharing.knocks", "sharing.log_days", "window.geometry")] == [
        "dark",
        "false",
        "30",
        "1,2,3",
    ]
    again.set_text("theme", "")
    again.set_text("window.geometry", "")
    assert again.text("theme") == "system"
    assert again.text("window.geometry") == ""
    assert again.text("sharing") == again.text("theme.x") == again.text("sharing.models") == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("theme", "purple"),
        ("sharing.knocks", "yes"),
        ("sharing.log_days", "-1"),
        ("sharing.log_days", "²"),
        ("sharing.models", "a"),
        ("sharing", "x"),
        ("theme.x", "y"),
        ("", "x"),
        ("a..b", "x"),
    ],
)
def test_impossible_text_changes_nothing(path: Path, name: str, value: str) -> None:
    file = SettingsFile(path, now=NOW)
    file.save(CHANGED)
    before = path.read_bytes()
    with pytest.raises(StoreError):
        file.set_text(name, value)
    assert file.settings == CHANGED
    assert path.read_bytes() == before


def test_changes_build_on_each_other(path: Path) -> None:
    file = SettingsFile(path, now=NOW)
    file.change(lambda settings: replace(settings, theme=Theme.DARK))
    file.change(lambda settings: replace(settings, tab="Anna"))
    assert file.settings == SettingsFile(path, now=NOW).settings == Settings(theme=Theme.DARK, tab="Anna")


def test_text_without_utf_8_is_written_with_a_question_mark(path: Path) -> None:
    file = SettingsFile(path, now=NOW)
    file.save(Settings(tab="a\udc80b"))
    assert SettingsFile(path, now=NOW).settings.tab == "a?b"


def test_failed_save_keeps_file_and_settings(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SettingsFile(path, now=NOW)
    file.save(CHANGED)
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="disk is full") as caught:
        file.save(Settings())
    assert caught.value.name == "DISK_FULL"
    assert file.settings == CHANGED
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["settings.toml"]


def test_replace_that_fails_leaves_no_litter(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(_self: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "denied", str(target))

    monkeypatch.setattr(Path, "replace", locked)
    with pytest.raises(StoreError, match="may not write there") as caught:
        write_atomically(path, b"x", action="write the settings")
    assert caught.value.name == "NOT_PERMITTED"
    assert list(path.parent.iterdir()) == []


def test_unreadable_place(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="read the settings"):
        SettingsFile(tmp_path, now=NOW)


def test_create_once_never_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "identity"
    assert create_once(path, b"first", action="write")
    assert not create_once(path, b"second", action="write")

    def no_links(_source: Path, _target: Path) -> None:
        raise OSError(errno.EOPNOTSUPP, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    assert not create_once(path, b"third", action="write")
    assert path.read_bytes() == b"first"
    assert create_once(tmp_path / "other", b"fourth", action="write")
    assert (tmp_path / "other").read_bytes() == b"fourth"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["identity", "other"]


def test_every_setting_is_read_somewhere() -> None:
    """A setting that nobody reads does nothing, and says that it does."""
    root = Path(__file__).parents[2]
    own = root / "qvac_core" / "store" / "settings.py"
    shown = root / "app" / "presenters" / "settings_rows.py"  # that it can be chosen does not make it act
    files = [path for folder in ("app", "qvac_core") for path in (root / folder).rglob("*.py") if path != own]
    of_window = "\n".join(path.read_text(encoding="utf-8") for path in (root / "app").rglob("*.py") if path != shown)
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    sections = {
        "sharing": SharingSettings,
        "manners": MannersSettings,
        "chat": ChatSettings,
        "network": NetworkSettings,
        "programs": ProgramsSettings,
        "library": LibrarySettings,
        "speech": SpeechSettings,
        "engine": EngineSettings,
    }
    names = [(item.name, "settings.") for item in fields(Settings) if item.name not in sections]
    names += [(item.name, f"{section}.") for section, kind in sections.items() for item in fields(kind)]
    unread = [
        name
        for name, owner in names
        if not any(f"{prefix}{name}" in source for prefix in (owner, "settings."))
        and f'_setting("{name}")' not in source
        and f'"{owner.removeprefix("settings.")}{name}"' not in of_window
        and f"sharing.{name}" not in source
        and f'value("{owner.removeprefix("settings.")}{name}")' not in source
    ]
    assert not unread


def test_what_holds_for_one_model_is_a_table_of_its_own(path: Path) -> None:
    path.write_text(
        '[sharing.per_model."Qwen3-0.6B-Q4_0"]\nslots = 2\nmine = "kept?"\ncontext_tokens = "many"\n'
        "[sharing.per_model]\nother = 1\n"
    )
    file = SettingsFile(path, now=NOW)
    assert dict(file.settings.sharing.per_model) == {"Qwen3-0.6B-Q4_0": ModelOptions(slots=2)}
    assert file.notice is not None
    assert "sharing.per_model.Qwen3-0.6B-Q4_0.context_tokens" in file.notice
    assert "sharing.per_model.other" in file.notice
    file.change(lambda now: replace(now, sharing=replace(now.sharing, per_model={"x": ModelOptions(0, 0, 500)})))
    document = tomllib.loads(path.read_text())
    assert document["sharing"]["per_model"] == {"x": {"memory_mb": 500}}  # and nothing of what was not said
    assert SettingsFile(path, now=NOW).settings == file.settings
    with pytest.raises(StoreError):
        file.set_text("sharing.per_model", "x")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("manners.hours_from", "8:00"),
        ("manners.hours_to", "24:00"),
        ("manners.hours_from", "08:60"),
        ("manners.hours_from", "٠٨:٠٠"),
        ("manners.hours_days", "8"),
        ("manners.hours_days", "mon"),
        ("machine_name", "x" * 61),
        ("sharing.context_tokens", "10"),
        ("sharing.slots", "0"),
        ("sharing.slots", "1000"),
        ("sharing.slots", "-1"),
        ("sharing.slots", "9" * 5000),
        ("network.port", "65536"),
        ("network.bootstrap", "127.0.0.1"),
        ("network.bootstrap", "127.0.0.1:1, nonsense"),
        ("text_size", "79"),
        ("theme", "pink"),
        ("engine.gpu_layers", "-2"),
        ("chat.fallback", "perhaps"),
    ],
)
def test_what_a_setting_cannot_be_is_told_and_changes_nothing(path: Path, name: str, text: str) -> None:
    file = SettingsFile(path, now=NOW)
    with pytest.raises(StoreError, match=r"\.$"):
        file.set_text(name, text)
    assert file.settings == Settings()
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("manners.hours_from", "00:00"),
        ("manners.hours_to", "23:59"),
        ("manners.hours_days", "67"),
        ("sharing.slots", "4"),
        ("network.port", "65535"),
        ("network.bootstrap", "127.0.0.1:49737, [::1]:1"),
        ("text_size", "200"),
        ("engine.gpu_layers", "-1"),
        ("anything.else", "anything"),
    ],
)
def test_what_a_setting_can_be_is_kept(path: Path, name: str, text: str) -> None:
    SettingsFile(path, now=NOW).set_text(name, text)
    file = SettingsFile(path, now=NOW)
    assert file.notice is None
    assert file.text(name) == text


def test_a_file_with_values_out_of_bounds_is_read_without_them(path: Path) -> None:
    path.write_text(
        'text_size = 1000\n[network]\nport = 70000\nbootstrap = "nowhere"\n[sharing]\nslots = 0\nlog_days = 7\n'
        '[manners]\nhours_from = "noon"\n'
    )
    file = SettingsFile(path, now=NOW)
    assert file.settings == Settings(sharing=SharingSettings(log_days=7))
    assert file.notice is not None
    for name in ("text_size", "network.port", "network.bootstrap", "sharing.slots", "manners.hours_from"):
        assert name in file.notice


@pytest.mark.parametrize("line", ["slots = 65", "context_tokens = 5", f"memory_mb = {10**30}", "idle_minutes = -1"])
def test_of_one_model_too_only_what_can_be_is_read(path: Path, line: str) -> None:
    path.write_text(f"[sharing.per_model.x]\nanswer_tokens = 7\n{line}\n")
    file = SettingsFile(path, now=NOW)
    assert dict(file.settings.sharing.per_model) == {"x": ModelOptions(answer_tokens=7)}
    assert file.notice is not None
    assert f"sharing.per_model.x.{line.split()[0]}" in file.notice


def test_a_definition_says_what_a_setting_may_be() -> None:
    port = definition("network.port")
    assert port is not None and (port.default, port.low, port.high) == ("0", 0, 65_535)
    theme = definition("theme")
    assert theme is not None and theme.choices == ("system", "light", "dark")
    switch = definition("chat.fallback")
    assert switch is not None and (switch.default, switch.choices) == ("true", ("true", "false"))
    assert definition("sharing.models") is definition("window.anything") is definition("sharing") is None
