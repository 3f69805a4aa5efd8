"""How a model writes a call of a tool, learnt from its own chat template.

A template that knows tools also shows how an earlier call stands in a conversation, which is what the model was trained
to write. So a call with known words is rendered, and the text around the words is the format: llama.cpp's common chat
code learns its formats in the same way. Nothing is kept per model. Of llama.cpp's 70 templates of real models 61 show a
call like this; for the others the general form of `tools.py` serves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from qvac_core.engines.thinking import TAGS
from qvac_core.engines.tool_calls import json_end
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import jinja2
else:
    jinja2 = Lazy("jinja2")

PROBE_NAME, _KEY, _VALUE, _NUMBER = "probe_name", "probe_key", "probe_value", 7353
PROBE_ARGUMENTS = {_KEY: _VALUE, "probe_num": _NUMBER}
PROBE_ID = "call00001"  # nine letters and digits: Mistral's templates insist
PROBE_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": PROBE_NAME,
        "description": "Probe description",
        "parameters": {
            "type": "object",
            "properties": {
                _KEY: {"type": "string", "description": "Probe"},
                "probe_num": {"type": "integer", "description": "Probe"},
            },
            "required": [_KEY],
        },
    },
}
_QUESTION = {"role": "user", "content": "Probe question"}
_ANSWER = {"role": "assistant", "content": "Probe answer"}
# What stands between brackets of some kind: `<tool_call>`, `<|tool_call_start|>`, `[TOOL_CALLS]`, `<function=`.
_MARK = re.compile(r"<[^<>\s=\"]+>|\[[A-Z_]+\]|<[\w:.|｜-]+=|<[\w:.|｜-]+\s+name=\"")
# Marks that models write whatever their template shows, some because it shows none.
KNOWN_FRAMES = (
    ("<tool_call>", "</tool_call>"),
    ("<|tool_call_start|>", "<|tool_call_end|>"),
    ("<|tool_call>", "<tool_call|>"),
    ("[TOOL_CALLS]", ""),
    ("<|python_tag|>", ""),
    ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
    ("<|channel|>commentary to=", ""),
)
_ALONGSIDE = frozenset(("[ARGS]", "[CALL_ID]", "<|tool▁sep｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"))
_ENDS = ("<|eom_id|>", "<|call|>", "<|calls|>", "<|eot|>", "<|eot_id|>", "<|im_end|>", "<|end|>")


class Render(Protocol):
    def __call__(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, *, add_generation_prompt: bool
    ) -> str:
        """Raises jinja2.TemplateError when the template refuses."""


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """offers: the template puts tools into the prompt. frames: (open, close) of a call, close "" where only its own end
    ends it. arguments_as_text, no_content: how an earlier call is handed to the template.

    head: what leads to a call, behind the prompt; shape: the JSON that follows it, with the probe's words; named: what
    stands between a tool's name and its arguments, where the name comes before the JSON.
    tokens: control tokens that a call is written with.
    """

    offers: bool = False
    shows_calls: bool = False
    frames: tuple[tuple[str, str], ...] = KNOWN_FRAMES
    arguments_as_text: bool = False
    no_content: bool = False
    head: str = ""
    shape: Any = None
    named: str = ""
    tokens: frozenset[str] = frozenset()


def learn(render: Render, controls: Collection[str]) -> ToolFormat:
    """The format of a template. controls: the control tokens of the vocabulary."""
    known = frozenset(
        control
        for control in controls
        if any(
            control in part or part in control
            for frame in KNOWN_FRAMES
            for part in frame
            if part.startswith(("<", "["))
        )
    )
    try:
        prompt = render([_QUESTION], [PROBE_TOOL], add_generation_prompt=True)
        plain = render([_QUESTION], [PROBE_TOOL], add_generation_prompt=False)
    except jinja2.TemplateError:
        return ToolFormat(tokens=known)
    offers = PROBE_NAME in prompt
    for as_text in (False, True):
        for no_content in (False, True):
            try:
                text = render([_QUESTION, _call(as_text, no_content)], [PROBE_TOOL], add_generation_prompt=False)
            except jinja2.TemplateError:
                continue
            written = _behind(prompt, plain, text)
            if PROBE_NAME in written and _VALUE in written and f"'{_KEY}'" not in written:
                tail = _tail(render)
                return _format(written, tail, controls, known, offers, as_text, no_content)
    return ToolFormat(offers=offers, tokens=known)


def _call(as_text: bool, no_content: bool) -> dict[str, Any]:
    arguments = json.dumps(PROBE_ARGUMENTS) if as_text else dict(PROBE_ARGUMENTS)
    function = {"name": PROBE_NAME, "arguments": arguments}
    return {
        "role": "assistant",
        "content": None if no_content else "",
        "tool_calls": [{"id": PROBE_ID, "type": "function", "function": function}],
    }


def _behind(prompt: str, plain: str, text: str) -> str:
    """What the assistant wrote: behind the prompt that its turn begins with, and behind any thinking."""
    common = next((at for at, (one, other) in enumerate(zip(prompt, text, strict=False)) if one != other), len(prompt))
    start = max(text.rfind("<", 0, common), text.rfind("[", 0, common))
    cut = start >= len(plain) and not re.search(r"[>\]]", text[start:common])
    written = text[start if cut else common :]
    name = written.find(PROBE_NAME)
    ends = [
        written.rfind(mark, 0, max(name, 0)) + len(mark) for pair in TAGS for mark in pair if mark in written[:name]
    ]
    return written[max(ends, default=0) :]


def _tail(render: Render) -> str:
    """What stands behind an answer without a call."""
    try:
        return render([_QUESTION, _ANSWER], [PROBE_TOOL], add_generation_prompt=False).rpartition("Probe answer")[2]
    except jinja2.TemplateError:
        return ""


def _format(
    written: str,
    tail: str,
    controls: Collection[str],
    known: frozenset[str],
    offers: bool,
    as_text: bool,
    no_content: bool,
) -> ToolFormat:
    end = written.rstrip().removesuffix(tail.rstrip()) if tail.strip() else written
    name = end.find(PROBE_NAME)
    start = next((at for at in range(name) if end[at] in "{[" and json_end(end, at) > name and _json(end, at)), -1)
    head = end[: name if start < 0 else start]
    marks = [mark[0] for mark in _MARK.finditer(head)]
    opens = [mark for mark in marks if mark.strip()] or ([head.strip()] if head.strip() and start >= 0 else [])
    shape = _json(end, start) if start >= 0 else None
    brace = end.find("{", name) if shape is None else -1
    named = (
        end[name + len(PROBE_NAME) : brace] if brace >= 0 and json_end(end, brace) > 0 and _KEY in end[brace:] else ""
    )
    last = max(end.rfind(word) + len(word) for word in (_VALUE, str(_NUMBER)))
    close = _close(opens[0] if opens else "", end[last:])
    frames = [(opens[0], close)] if opens else []
    frames += [(mark, f"</{word}>") for mark in opens for word in ("function", "invoke") if mark.startswith(f"<{word}")]
    frames += [frame for frame in KNOWN_FRAMES if frame[0] not in {mark for mark, _ in frames}]
    used = frozenset(control for control in controls if control in end and control not in _ENDS)
    return ToolFormat(
        offers=offers,
        shows_calls=True,
        frames=tuple(frames),
        arguments_as_text=as_text,
        no_content=no_content,
        head=head,
        shape=shape,
        named=named,
        tokens=used | known,
    )


def _json(text: str, start: int) -> Any:
    """The JSON value that begins there and holds the probe's name; None for anything else."""
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return None
    return value if PROBE_NAME in json.dumps(value) else None


def _close(opening: str, tail: str) -> str:
    """The mark behind a call that belongs to the one before it."""
    marks = [mark[0] for mark in re.finditer(r"<[^<>\s]+>|\[/?[A-Z_]+\]", tail) if mark[0] not in _ENDS]
    word = re.sub(r"begin|start|prefix|START|[<>|｜▁_/=\s]", "", opening)
    return next((mark for mark in reversed(marks) if word and word in re.sub(r"[<>|｜▁_/]", "", mark)), "")
