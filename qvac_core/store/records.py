"""What the store keeps, as immutable values. Times are Unix seconds, keys are 64 lower-case hex digits.

The words for these things are those of docs/wire/qvac.md section 5 (statistics) and of the window.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import Final

from qvac_core.codec import Address
from qvac_core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One finished request. ms: its duration. amount: in `unit`: "texts", "seconds" of audio, "" = tokens alone.

    outcome: eos, length, stopSequence, cancelled (by the guest), disconnected, stopped (by the owner), error.
    """

    id: str
    remote_public_key: str
    method: str
    model: str
    started_at: float
    ms: float
    prompt_tokens: int
    generated_tokens: int
    outcome: str
    error: str = ""
    amount: float = 0.0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What the owner lets a key use; None: no limit of its own.

    tokens_per_day: 0 = none at all. parallel: requests at once. context_tokens: of one chat; answer_tokens: of one
    answer. models: names; None = all that are shared, also later ones. hours: "08:00-20:00", "" = at any.
    """

    tokens_per_day: int | None = None
    parallel: int | None = None
    context_tokens: int | None = None
    answer_tokens: int | None = None
    models: tuple[str, ...] | None = None
    hours: str = ""


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """What the owner decided about one key. None: never, or no limit of its own.

    mine: one of the owner's own machines. invite: the id of the one it came with, "" = by hand. extra_tokens: given on
    top for the day `extra_day`.
    """

    public_key: str
    name: str
    blocked: bool
    added_at: float
    expires_at: float | None = None
    last_seen: float | None = None
    limits: KeyLimits = KeyLimits()
    mine: bool = False
    invite: str = ""
    extra_day: str = ""
    extra_tokens: int = 0


@dataclass(frozen=True, slots=True)
class InviteRecord:
    """An invite: who comes with it may use what `limits` says, for `access_seconds` (None = until the owner ends it).

    opens_until: when the link ends to let anybody in. places: for how many keys. grant: what its link carries.
    turned_away_at: when somebody came last for whom no place was left. claims: the keys that came, and when.
    """

    id: str
    name: str
    made_at: float
    opens_until: float | None
    places: int
    access_seconds: float | None
    grant: str
    taken_back_at: float | None = None
    turned_away_at: float | None = None
    limits: KeyLimits = KeyLimits()
    claims: tuple[tuple[str, float], ...] = ()

    def open_at(self, now: float) -> bool:
        """Whether it lets anybody more in."""
        lasts = self.opens_until is None or self.opens_until > now
        return self.taken_back_at is None and lasts and len(self.claims) < self.places


@dataclass(frozen=True, slots=True)
class Knock:
    """A stranger's key at the door. No text of the stranger, ever."""

    public_key: str
    at: float


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """A provider that somebody added. `relays`: nodes that led to it last time, tried first the next time."""

    public_key: str
    name: str
    added_at: float
    last_connected: float | None = None
    last_model: str = ""
    relays: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """An error as it is shown: `title` who/what (one clause), `message` what helps, `name`/`code` for Copy details."""

    name: str
    code: int
    title: str
    message: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes: provider_key "" = this machine. `model` is a model name or source; "" = choose."""

    provider_key: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class AnswerStats:
    """Who computed an answer and how well. path: direct, relay, local. Times in seconds.

    Of an answer that was stopped or broke off: as far as it came, prompt_tokens 0, path "" where there was none yet.
    provider_key: "" on this machine, and in what was stored before keys were kept.
    ending: "" by itself, "length" at its greatest length, "context" where there was no more room, "stopped" by the
    person who had asked. blind: it was not shown the pictures of the question. beside: who was asked too and stopped
    when somebody else had begun, after so many seconds of work for nothing.
    """

    who: str
    where: str  # "delegated" | "local"
    path: str
    model: str
    time_to_first_token: float
    tokens_per_second: float
    prompt_tokens: int
    generated_tokens: int
    provider_key: str = ""
    ending: str = ""
    blind: bool = False
    beside: str = ""
    beside_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Picture:
    """One beside a question. sha256: of its file. media_type: "image/png", …; name: of the file it came from."""

    sha256: str
    media_type: str
    name: str = ""


class UseState(StrEnum):
    """What became of a call of a tool."""

    ASKS = "asks"  # the person is asked whether it may
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # by the tool's own word, or because its server ended or took too long
    DENIED = "denied"
    STOPPED = "stopped"  # together with the answer, before it ended
    INVALID = "invalid"  # what the model wrote is no call, and was not run


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call of a tool that an answer made, at `offset` in its text.

    server, tool: as the person named the one, and its own name for the other; both "" where there is no such tool.
    name: the one by which the model calls it. arguments: JSON text of an object; of what is no call, what was written.
    result: the text that the model is told. round: the calls of one round were written together; 1 = the first.
    allowed: "once", "conversation", "always", "" = nobody was asked to, or it was not. size: characters of the whole
    result, of which the model was told the beginning. seconds: that it ran.
    """

    id: str
    server: str
    tool: str
    name: str
    arguments: str
    offset: int = 0
    round: int = 1
    state: UseState = UseState.ASKS
    result: str = ""
    seconds: float = 0.0
    allowed: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class ConversationTools:
    """What a conversation may use. servers: by name. allowed: "SERVER/TOOL" of which it is not asked any more."""

    servers: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolServer:
    """A server of tools (MCP), as it was configured: a program to start, or an address.

    name: the person's own. env, headers: with their secrets, which no log and no repr holds. in_new: new conversations
    begin with it. trusted: tools that only read, by the server's own word, run without a question. off: tools that no
    model is shown. always: tools that run without a question.
    """

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    cwd: str = ""
    url: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    in_new: bool = False
    trusted: bool = False
    off: tuple[str, ...] = ()
    always: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A model as a model server listed it last. n_ctx: tokens of a chat, 0 = it does not tell."""

    name: str
    embeds: bool = False
    n_ctx: int = 0
    vision: bool = False


@dataclass(frozen=True, slots=True)
class ModelServer:
    """An OpenAI-compatible server of the owner's. Its key is kept apart (`server_keys`).

    id: 32 hex digits, made up: its models are told apart by it, and it says nothing of the address. name: the owner's
    own. url: as of `openai_address.base_address`. requests: at once, 0 = as many as such a server is known to take.
    kind, parallel, models: as it was seen last.
    """

    id: str
    name: str
    url: str
    requests: int = 0
    kind: str = ""
    parallel: int = 1
    models: tuple[KeptModel, ...] = ()


TRANSCRIPT: Final = "transcript"  # the role of a message whose text is that of a recording


@dataclass(frozen=True, slots=True)
class Message:
    """One message. status: "done", "streaming", "stopped", "failed". seams: (offset in text, sentence).

    thinking: what the model thought before this answer, "" for none. It is no part of `text`: it is shown folded
    away, and never sent back to a model. model_sha256: the file of the model that wrote it, "" when that is not known.
    branches: ids of all messages that stand in this place, itself among them, oldest first; () where it stands alone.
    tools: calls that it made, in their order.
    """

    id: str
    role: str  # "user" | "assistant" | TRANSCRIPT
    text: str
    created_at: float
    status: str = "done"
    stats: AnswerStats | None = None
    error: ErrorInfo | None = None
    seams: tuple[tuple[int, str], ...] = ()
    thinking: str = ""
    model_sha256: str = ""
    pictures: tuple[Picture, ...] = ()
    branches: tuple[str, ...] = ()
    tools: tuple[ToolUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a conversation asks of whoever answers. None: as the model's file says, or the engine.

    instructions: the system prompt, "" for none. max_tokens: the longest answer. schema: text of a JSON schema that the
    answer keeps to, "" for plain text. think False: without thinking first, where the model can.
    """

    instructions: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    schema: str = ""
    think: bool = True


@dataclass(frozen=True, slots=True)
class Preset:
    """Parameters under a name."""

    name: str
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Draft:
    """What is written and not sent. pasted: long texts beside it. waiting: sent when the answer before it ends."""

    text: str = ""
    pasted: tuple[str, ...] = ()
    waiting: bool = False

    @property
    def message(self) -> str:
        """What Send sends: what was written, then what was pasted beside it."""
        return "\n\n".join(part for part in (self.text if self.text.strip() else "", *self.pasted) if part)


@dataclass(frozen=True, slots=True)
class Conversation:
    """`others`: who answers when `target` is away, in this order. `preset`: the name its parameters began from."""

    id: str
    title: str
    created_at: float
    updated_at: float
    pinned: bool = False
    target: Target = Target()
    parameters: Parameters = Parameters()
    preset: str = ""
    others: tuple[Target, ...] = ()
    tools: ConversationTools = ConversationTools()


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a text was found: in the title, and in a message where message_id is not "".

    before, match, after: what stands around it there, each on one line; match "" where it is not told apart.
    """

    conversation: Conversation
    message_id: str = ""
    before: str = ""
    match: str = ""
    after: str = ""
