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
    grouped: by thousands; a port is not.
    """

    unit: str = ""
    zero: str = ""
    step: int = 1
    slider: bool = False
    most: int = 0
    grouped: bool = True


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
                    "chat.first_asked",
                    later("Of several providers of a conversation, ask first"),
                    later("The first one gives way only where it is clearly later: a line, a model to load."),
                    Choice(
                        (
                            ("order", later("Always the first one")),
                            ("same-model", later("The soonest with the same model")),
                            ("quickest", later("The soonest, with any model")),
                        )
                    ),
                    words=("order", "load", "busy"),
                ),
                Row(
                    "chat.hedge",
                    later("Ask somebody else too when a first word is late"),
                    later(
                        "The next provider of the conversation, or this machine. Who begins first answers; the other "
                        "one is stopped, and has worked for nothing."
                    ),
                    words=("hedge",),
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

SHARING = Section(
    "sharing",
    later("Sharing and manners"),
    later("When this machine serves others, and what it keeps for you. Changes act at once."),
    "radio-tower",
    (
        Group(
            later("Manners"),
            (
                Row(
                    "",
                    later("Serve only at certain hours"),
                    later("Outside them guests are told when you are back."),
                    Special("hours"),
                ),
                Row(
                    "",
                    later("On these days"),
                    later("Hours that go over midnight belong to the day they begin on."),
                    Special("days"),
                ),
                Row(
                    "manners.while_active",
                    later("Pause while I use this machine"),
                    later("Guests are told when to ask again."),
                ),
                Row(
                    "manners.active_minutes",
                    later("Not in use after"),
                    later("So long without a key or the mouse."),
                    Whole(unit=later("min")),
                    needs="manners.while_active",
                ),
                Row(
                    "manners.other_gpu",
                    later("Pause while another program needs the GPU"),
                    later("Games, renderers, whatever holds its memory."),
                ),
                Row(
                    "manners.other_gpu_mb",
                    later("Needed means"),
                    later("So much of the GPU's memory held by others."),
                    Whole(unit="MB", step=250),
                    needs="manners.other_gpu",
                ),
                Row("manners.on_battery", later("Pause on battery")),
                Row(
                    "manners.cut_running",
                    later("A pause ends answers that run"),
                    later("Otherwise they finish first."),
                ),
            ),
        ),
        Group(
            later("Resources"),
            (
                Row(
                    "sharing.memory_mb",
                    later("Memory for models, at most"),
                    later("All loaded models together. The rest stays free for your own programs."),
                    Whole(unit="MB", zero=later("no limit"), step=500),
                    words=("--memory-mb",),
                ),
                Row(
                    "sharing.idle_minutes",
                    later("Unload a model that nobody uses"),
                    later("So long after its last answer."),
                    Whole(unit=later("min"), zero=later("at once")),
                    words=("--idle-minutes",),
                ),
                Row(
                    "keep_awake",
                    later("Keep this machine awake while a guest is served"),
                    later("Or a download runs. It may sleep again straight afterwards."),
                ),
                Row("keep_awake_on_battery", later("On battery, too"), needs="keep_awake"),
            ),
        ),
        Group(
            later("What guests get"),
            (
                Row(
                    "machine_name",
                    later("Name of this machine"),
                    later("Guests see it."),
                    Words(later("none is told")),
                ),
                Row(
                    "sharing.slots",
                    later("Answers at once"),
                    later("Of each model, from its next load on. A model may have its own number."),
                    Whole(),
                    words=("--slots", "parallel"),
                ),
                Row(
                    "sharing.context_tokens",
                    later("Context of a chat"),
                    later("In tokens, from a model's next load on. More context takes more memory."),
                    Whole(step=512),
                    words=("--context-tokens", "n_ctx", "ctx_size"),
                ),
                Row(
                    "sharing.answer_tokens",
                    later("Longest answer"),
                    later("That a guest may ask for, in tokens."),
                    Whole(zero=later("no limit"), step=256),
                    words=("--answer-tokens",),
                ),
                Row(
                    "sharing.tokens_per_day",
                    later("Tokens a day, of all guests"),
                    later("Together. What one person may use is said with that person, under Share my GPU."),
                    Whole(zero=later("no limit"), step=10_000),
                    words=("--tokens-per-day", "quota"),
                ),
                Row(
                    "",
                    later("Identity of this machine"),
                    later("Your key hangs on it. With the backup it moves to another machine."),
                    Special("identity"),
                    words=("--seed", "identity", "key"),
                ),
                Row(
                    "",
                    later("Who may use it, and which models"),
                    later("Under Share my GPU: people, knocks, models."),
                    Special("who"),
                    words=("--allow", "--deny", "--allow-all", "--knock", "--model", "public-key", "provider"),
                ),
            ),
        ),
    ),
)

MODELS = Section(
    "models",
    later("Models and engines"),
    later("What computes on this machine, and how models are loaded. Files are in the Library."),
    "cpu",
    (
        Group(
            later("Engine"),
            (
                Row(
                    "",
                    later("Engine"),
                    "",
                    Special("engine"),
                    words=("llama.cpp", "compile", "bootstrap.py engine", "--cuda", "--vulkan", "--metal", "--hip"),
                ),
            ),
        ),
        Group(
            later("Loading"),
            (
                Row(
                    "engine.device",
                    later("Compute on"),
                    later("From the next load of a model on."),
                    Choice((("gpu", later("The GPU, if there is one")), ("cpu", later("The processor alone")))),
                    words=("device", "CPU"),
                ),
                Row(
                    "engine.gpu_layers",
                    later("Layers on the GPU"),
                    later("The others are computed by the processor."),
                    Whole(zero=later("all that fit")),
                    words=("gpu_layers", "ngl"),
                ),
                Row(
                    "engine.threads",
                    later("Threads of the processor"),
                    later("More than there are cores only wait for each other."),
                    Whole(zero=later("one core is left free")),
                    words=("threads",),
                ),
                Row(
                    "chat.keep_states",
                    later("Remember long chats over a restart"),
                    later("Encrypted, 4 GB at most, removed with their conversation. With the compiled engine."),
                    Choice(
                        (
                            ("nothing", later("Nothing")),
                            ("own", later("My own chats")),
                            ("everybody", later("Guests' chats too")),
                        )
                    ),
                    words=("cache", "KV"),
                ),
                Row(
                    "library.downloads_at_once",
                    later("Downloads at once"),
                    later("The others wait."),
                    Whole(most=8),
                ),
            ),
        ),
        Group(
            later("Models of another server"),
            (
                Row(
                    "",
                    later("Models of another server"),
                    "",
                    Special("model_servers"),
                    words=(
                        *("Ollama", "LM Studio", "llama.cpp", "vLLM", "OpenAI", "API key"),
                        *("--server", "--server-key-file", "--requests"),
                    ),
                ),
            ),
        ),
    ),
)

PRIVACY = Section(
    "privacy",
    later("Privacy and data"),
    later("What is kept on this machine, and what leaves it."),
    "shield",
    (
        Group(
            later("What others see"),
            (
                Row("", later("Telemetry"), later("There is none, and no switch for it."), Special("telemetry")),
                Row(
                    "",
                    later("Who reads what you ask"),
                    later("The provider's owner can technically read what you send. What is answered here stays here."),
                    Special("reads"),
                ),
            ),
        ),
        Group(
            later("What is kept"),
            (
                Row(
                    "sharing.keep_contents",
                    later("Keep what guests ask in my log"),
                    later("Guests are told before they write."),
                ),
                Row(
                    "sharing.log_days",
                    later("Keep my log for"),
                    "",
                    Whole(unit=later("days"), zero=later("for ever")),
                    words=("retention",),
                ),
                Row(
                    "sharing.log_rows",
                    later("Requests kept, at most"),
                    "",
                    Whole(zero=later("any number"), step=1000),
                ),
                Row("", later("Data folder"), "", Special("folder"), words=("--data-dir", "QVAC_DESKTOP_HOME")),
                Row(
                    "",
                    later("Report a problem"),
                    later("Versions and the last messages of the program. Keys are shortened; you see it first."),
                    Special("report"),
                    words=("log", "bug", "QVAC_LOG_LEVEL"),
                ),
            ),
        ),
    ),
)

STARTUP = Section(
    "startup",
    later("Start-up and tray"),
    later("When the program starts, and what a closed window means."),
    "power",
    (
        Group(
            later("Start"),
            (
                Row(
                    "",
                    later("Start when I log in"),
                    "",
                    Special("autostart"),
                    words=("autostart", "login", "--in-tray"),
                ),
                Row(
                    "",
                    later("Share without a window"),
                    later("A service of your system shares from each log-in on, also where no window is opened."),
                    Special("service"),
                    words=("--install-service", "--uninstall-service", "--wait", "systemd", "launchd", "daemon"),
                ),
                Row(
                    "share_at_start",
                    later("Share as soon as it starts"),
                    later("What is switched on under Share my GPU."),
                ),
                Row(
                    "programs.at_start",
                    later("Programs may use this as soon as it starts"),
                    later("The endpoint under For programs."),
                    words=("serve", "OpenAI", "API"),
                ),
            ),
        ),
        Group(
            later("Tray"),
            (
                Row(
                    "close_to_tray",
                    later("A closed window stays in the tray"),
                    later("While this machine shares, it always does."),
                ),
                Row(
                    "pause.cut",
                    later("A pause from the tray ends answers that run"),
                    later("Otherwise they finish first."),
                ),
            ),
        ),
    ),
)

SHORTCUTS = Section(
    "shortcuts",
    later("Shortcuts"),
    later("Keys that act from everywhere in the window."),
    "keyboard",
    (Group(later("Keys"), (Row("", later("Keys"), "", Special("shortcuts")),)),),
)

ABOUT = Section(
    "about",
    later("About"),
    later("Which version this is, and what it is made of."),
    "info",
    (
        Group(
            later("This program"),
            (
                Row("", later("Version"), "", Special("about"), words=("--version", "licence", "license")),
                Row(
                    "tell_of_updates",
                    later("Tell me of newer versions"),
                    later(
                        "Asked once a day at most; nothing about you or this machine is sent. You install it yourself."
                    ),
                    words=("update", "upgrade"),
                ),
            ),
        ),
    ),
)

TOOLS = Section(
    "tools",
    later("Tools"),
    later("Programs and services that models may use in your conversations, by MCP. They run on this machine."),
    "wrench",
    (
        Group(
            later("Servers"),
            (
                Row(
                    "",
                    later("Servers"),
                    "",
                    Special("tools"),
                    words=("MCP", "mcp.json", "mcpServers", "Model Context Protocol", "function calling", "agents"),
                ),
            ),
        ),
        Group(
            later("Limits"),
            (
                Row(
                    "chat.tool_seconds",
                    later("Longest silence of a tool"),
                    later("A tool that says nothing for so many seconds is stopped, and the answer goes on."),
                    Whole(step=10, most=86_400),
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
                    Whole(zero=later("any"), grouped=False),
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
        Group(
            later("Sleep"),
            (
                Row(
                    "network.can_be_woken",
                    later("My other machines may wake this one"),
                    later("They are told the address of its network card, and call it when you ask for it."),
                    words=("--can-be-woken", "Wake-on-LAN", "WoL"),
                ),
                Row(
                    "network.wakes_others",
                    later("Wake my other machines"),
                    later("For keys of your own alone: this machine sends the call into its network."),
                    words=("--wakes-others", "Wake-on-LAN", "WoL"),
                ),
            ),
        ),
        Group(
            later("For programs"),
            (
                Row(
                    "programs.port",
                    later("TCP port for programs"),
                    later("On this machine alone. It holds when the endpoint is switched on next."),
                    Whole(grouped=False),
                    words=("--http-port", "serve", "OpenAI", "API"),
                ),
            ),
        ),
        Group(later("Relays"), (Row("", later("Relays"), "", Special("relays"), words=("--relay-through", "relay")),)),
        Group(
            later("A relay for others"),
            (
                Row(
                    "relay.on",
                    later("This machine is a relay"),
                    later("Others who find no direct path go through it while this program runs. It can read nothing."),
                    words=("relay",),
                ),
                Row("", later("What it forwards"), "", Special("relay_offer"), words=("relay",), needs="relay.on"),
                Row(
                    "relay.who",
                    later("Who may go through it"),
                    later("Of two machines, both."),
                    Choice(
                        (("allowed", later("People I allow")), ("everybody", later("Everybody with its key"))),
                    ),
                    words=("--allow",),
                    needs="relay.on",
                ),
                Row(
                    "relay.mb_per_second",
                    later("Fastest"),
                    later("Of all that it forwards, in both directions together."),
                    Whole(unit=later("MB/s"), zero=later("no limit"), most=1000),
                    words=("--rate",),
                    needs="relay.on",
                ),
                Row(
                    "relay.gb_per_day",
                    later("Most in a day"),
                    later("Then it rests until midnight."),
                    Whole(unit="GB", zero=later("no limit"), most=10_000),
                    words=("--quota",),
                    needs="relay.on",
                ),
            ),
        ),
    ),
)

SECTIONS = (
    GENERAL,
    APPEARANCE,
    LANGUAGE,
    SHARING,
    NETWORK,
    TOOLS,
    MODELS,
    PRIVACY,
    STARTUP,
    SHORTCUTS,
    ABOUT,
)


def keys() -> tuple[str, ...]:
    """Of all settings that a row shows."""
    rows = (row for section in SECTIONS for group in section.groups for row in group.rows)
    hours = ("manners.hours", "manners.hours_from", "manners.hours_to", "manners.hours_days")
    return tuple(dict.fromkeys((*(row.key for row in rows if row.key), *hours)))
