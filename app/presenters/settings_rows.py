"""What the Settings page holds, as data: sections, groups and rows, with the words they are found by. Knows no Qt.

A row shows one setting of the core (its type, default and bounds are the core's, `qvac_core.store.settings`), or is
`Special`: made of something else by the page. Texts are marked by `later` and translated where they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.i18n import later


@dataclass(frozen=True, slots=True)
class Toggle:
    """A switch for "true" and "false"."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of (value, words); `source` names a list that only the page knows, added behind them.

    segmented: side by side, for two or three short ones.
    """

    options: tuple[tuple[str, str], ...] = ()
    source: str = ""
    segmented: bool = False


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within the setting's bounds. zero: the word for the smallest one. slider: one beside the field.

    most: the end of the slider and of the field where the bound of the setting is far beyond what people want.
    """

    unit: str = ""
    zero: str = ""
    step: int = 1
    slider: bool = False
    most: int = 0


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text."""

    placeholder: str = ""


@dataclass(frozen=True, slots=True)
class Special:
    """Made by the page, under this name."""

    name: str


Control = Toggle | Choice | Whole | Words | Special


@dataclass(frozen=True, slots=True)
class Row:
    """words: of the command line, and others that people look for, never translated. given: the name in
    `CoreInterface.given` by which the command line may have decided for this run. needs: a switch that must be on.
    """

    key: str
    label: str
    hint: str = ""
    control: Control = field(default_factory=Toggle)
    words: tuple[str, ...] = ()
    given: str = ""
    after_restart: bool = False
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    rows: tuple[Row, ...]
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    title: str
    sentence: str
    icon: str
    groups: tuple[Group, ...]


GENERAL = Section(
    "general",
    later("General"),
    later("How you write, and who answers. Changes act at once."),
    "sliders-horizontal",
    (
        Group(
            later("Writing"),
            (
                Row(
                    "chat.send_key",
                    later("Send with"),
                    later("With Ctrl+Enter, Enter makes a new line. Shift+Enter always does."),
                    Choice((("enter", later("Enter")), ("ctrl+enter", later("Ctrl+Enter"))), segmented=True),
                ),
            ),
        ),
        Group(
            later("Answers"),
            (
                Row(
                    "chat.fallback",
                    later("This machine finishes what a provider began"),
                    later("Where a provider goes away in the middle of an answer."),
                    words=("--fallback",),
                ),
                Row(
                    "chat.local_model",
                    later("Answers when nobody else does"),
                    later("A model of this machine. It also finishes an answer whose provider goes away."),
                    Choice((("", later("The first there is")),), source="local models"),
                    words=("--local-model",),
                ),
                Row(
                    "chat.answer_tokens",
                    later("Longest answer"),
                    later("Of every answer that you get, in tokens."),
                    Whole(zero=later("until it ends"), step=256, most=1_000_000),
                    words=("--predict",),
                ),
            ),
        ),
    ),
)

APPEARANCE = Section(
    "appearance",
    later("Appearance"),
    later("What the window looks like. Changes act at once."),
    "sun-moon",
    (
        Group(
            later("Window"),
            (
                Row(
                    "theme",
                    later("Theme"),
                    "",
                    Choice(
                        (("system", later("As the system")), ("light", later("Light")), ("dark", later("Dark"))),
                        segmented=True,
                    ),
                    words=("dark mode", "colours"),
                ),
                Row("text_size", later("Text size"), "", Whole(unit="%", step=5, slider=True), words=("zoom", "font")),
                Row(
                    "contrast",
                    later("High contrast"),
                    later("Stronger outlines, no soft fills."),
                    Choice(
                        (("system", later("As the system")), ("high", later("Always")), ("normal", later("Never"))),
                    ),
                ),
                Row(
                    "reduced_motion",
                    later("Less motion"),
                    later("Nothing slides or fades. Where the system asks for it, it holds anyway."),
                    words=("animation",),
                ),
                Row(
                    "code_font",
                    later("Code font"),
                    later("For code and for keys."),
                    Choice((("", later("As the system")),), source="fixed fonts"),
                    words=("monospace",),
                ),
            ),
        ),
    ),
)

LANGUAGE = Section(
    "language",
    later("Language and speech"),
    later("What the window speaks, and what it hears."),
    "languages",
    (
        Group(
            later("Window"),
            (
                Row(
                    "language",
                    later("Language"),
                    later("Also the direction of the window."),
                    Choice(source="languages"),
                    after_restart=True,
                ),
            ),
        ),
        Group(
            later("Speech"),
            (
                Row(
                    "speech_language",
                    later("Dictation and transcripts"),
                    later("The language that is spoken."),
                    Choice(source="spoken languages"),
                    words=("--language", "voice"),
                ),
                Row(
                    "speech.model",
                    later("Speech to text on this machine"),
                    later("Where the provider that answers understands no speech."),
                    Choice((("", later("The first there is")),), source="speech models"),
                    words=("whisper", "transcribe"),
                ),
                Row(
                    "speech.microphone",
                    later("Microphone"),
                    "",
                    Choice((("", later("As the system")),), source="microphones"),
                ),
            ),
        ),
    ),
)

NETWORK = Section(
    "network",
    later("Network and relays"),
    later("How this machine is found, and what helps where it is not."),
    "cable",
    (
        Group(
            later("Connection"),
            (
                Row("", later("Connection"), "", Special("connection"), words=("diagnose", "NAT", "UDP", "firewall")),
                Row(
                    "network.port",
                    later("UDP port"),
                    later("If it is taken, the next free one."),
                    Whole(zero=later("any")),
                    words=("--port",),
                    given="port",
                    after_restart=True,
                ),
                Row(
                    "network.bootstrap",
                    later("Entrance to the network"),
                    later("Nodes of a network of its own, as host:port, with commas between them."),
                    Words(later("the public network")),
                    words=("--bootstrap",),
                    given="bootstrap",
                    after_restart=True,
                ),
                Row(
                    "local_network",
                    later("Machines on the same network"),
                    later("They find each other by key, also without the internet. Others learn nothing."),
                    words=("--no-local-network", "mDNS"),
                    given="local_network",
                ),
            ),
        ),
        Group(later("Relays"), (Row("", later("Relays"), "", Special("relays"), words=("--relay-through", "relay")),)),
    ),
)

SECTIONS = (GENERAL, APPEARANCE, LANGUAGE, NETWORK)


def keys() -> tuple[str, ...]:
    """Of all settings that a row shows."""
    rows = (row for section in SECTIONS for group in section.groups for row in group.rows)
    return tuple(dict.fromkeys(row.key for row in rows if row.key))
