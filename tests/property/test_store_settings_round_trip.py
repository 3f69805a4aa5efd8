"""Whatever the settings are, the file gives them back; whatever the file is, the app starts.

qvac_core/store/settings.py.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from qvac_core.store import Admission, ChatSettings, Settings, SettingsFile, SharingSettings, Theme

NOW = 1_750_000_000.0
texts = st.text(max_size=50)
all_settings = st.builds(
    Settings,
    theme=st.sampled_from(Theme),
    tab=texts,
    reduced_motion=st.booleans(),
    sharing=st.builds(
        SharingSettings,
        admission=st.sampled_from(Admission),
        knocks=st.booleans(),
        models=st.lists(texts, max_size=5).map(tuple),
        log_days=st.integers(0, 10_000),
    ),
    chat=st.builds(ChatSettings, fallback=st.booleans(), local_model=texts),
)
names = st.sampled_from(["theme", "tab", "sharing", "chat", "knocks", "models", "log_days", "x", "y"])
values = st.recursive(
    st.booleans() | st.integers(-100, 100) | st.floats(allow_nan=False) | texts | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=10,
)
documents = st.dictionaries(names, values, max_size=6)


@given(settings=all_settings)
@settings(deadline=None)
def test_settings_come_back_as_they_were(settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.toml"
        SettingsFile(path, now=NOW).save(settings)
        file = SettingsFile(path, now=NOW)
        assert file.settings == settings
        assert file.notice is None


@given(document=documents, settings=all_settings)
@settings(deadline=None)
def test_any_document_is_read_and_what_is_unknown_stays(document: dict[str, Any], settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.toml"
        path.write_bytes(tomli_w.dumps(document).encode())
        file = SettingsFile(path, now=NOW)
        file.save(settings)
        again = SettingsFile(path, now=NOW)
        assert again.settings == settings
        assert again.notice is None
        for name in ("x", "y"):
            assert again._document.get(name) == document.get(name)
            if isinstance(document.get("sharing"), dict):
                assert again._document["sharing"].get(name) == document["sharing"].get(name)


@given(content=st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_survived(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.toml"
        path.write_bytes(content)
        SettingsFile(path, now=NOW).save(Settings())
        assert SettingsFile(path, now=NOW).settings == Settings()
