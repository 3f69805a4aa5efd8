"""How models mark their thinking: text where an answer begins, control tokens, channels, the end of the prompt."""

from __future__ import annotations

import pytest

from qvac_core.engines.thinking import Mark, ThinkingReader, ThinkingStyle, style_of, without_thinking

HARMONY = {"<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|constrain|>"}
SOLAR = {"<|begin|>", "<|think|>", "<|content|>", "<|end|>"}
COHERE = {"<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"}
GEMMA = {"<|channel>", "<channel|>"}
MISTRAL = {"[THINK]", "[/THINK]", "[INST]"}


def read(text: str, style: ThinkingStyle | None = None, opened: str = "", *, begun: bool = False) -> tuple[str, str]:
    """(thinking, answer), letter by letter."""
    reader = ThinkingReader(style, opened, begun=begun)
    pieces = [piece for letter in text for piece in reader.feed(letter)] + reader.end()
    return (
        "".join(piece.text for piece in pieces if piece.thinking),
        "".join(piece.text for piece in pieces if not piece.thinking),
    )


def spoken(text: str, controls: set[str]) -> str:
    """The text as it comes out of a vocabulary: control tokens that mark something are one private character each."""
    marks = style_of("", controls, ()).marks or {}
    for control in sorted(controls, key=len, reverse=True):
        text = text.replace(control, marks.get(control, ""))
    return text


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>Hm.</think>Yes.", "Hm.", "Yes."),
        ("\n<think>\nHm.\n</think>\n\nYes.", "\nHm.\n", "\n\nYes."),
        ("Use the <think> tag: <think>so</think>.", "", "Use the <think> tag: <think>so</think>."),
        ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
        ("`</think>` ends it.", "", "`</think>` ends it."),
        ("<think>never ends", "never ends", ""),
        ("<thi", "", "<thi"),
        ("<this", "", "<this"),
        ("", "", ""),
        ("  \n", "", "  \n"),
        (" " * 500 + "<think>", "", " " * 500 + "<think>"),
        ("[THINK]x[/THINK]", "", "[THINK]x[/THINK]"),
    ],
)
def test_a_tag_counts_only_where_the_answer_begins(text: str, thinking: str, answer: str) -> None:
    assert read(text) == (thinking, answer)


@pytest.mark.parametrize(
    ("prompt", "opened"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>"),
        ("<|Assistant|><think>", "<think>"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("<|im_start|>assistant\n", ""),
        ("[/INST][THINK]", "[THINK]"),
        ("<|CHATBOT_TOKEN|><|START_THINKING|>", "<|START_THINKING|>"),
        ("<|CHATBOT_TOKEN|><|START_THINKING|><|END_THINKING|>", ""),
        ("assistant\n<thought>\n", "<thought>"),
        ("<|begin_assistant|>\nHere are my reasoning steps:\n", "Here are my reasoning steps:"),
    ],
)
def test_the_prompt_says_where_the_model_starts(prompt: str, opened: str) -> None:
    assert ThinkingStyle().opened(prompt) == opened


@pytest.mark.parametrize(
    ("opened", "text", "thinking", "answer"),
    [
        ("<think>", "Hm.\n</think>\n\nYes.", "Hm.\n", "\n\nYes."),
        ("<think>", "<think>\nHm.</think>Yes.", "\nHm.", "Yes."),  # some write the tag once more
        ("<think>", "a < b </thin", "a < b </thin", ""),
        ("Here are my reasoning steps:", "One.\n[BEGIN FINAL RESPONSE]\nTwo.", "One.\n", "\nTwo."),
        (
            "<|START_THINKING|>",
            spoken("Hm.<|END_THINKING|><|START_RESPONSE|>Yes.<|END_RESPONSE|>", COHERE),
            "Hm.",
            "Yes.",
        ),
        ("[THINK]", spoken("Hm.[/THINK]Yes.", MISTRAL), "Hm.", "Yes."),
    ],
)
def test_an_open_tag_at_the_end_of_the_prompt(opened: str, text: str, thinking: str, answer: str) -> None:
    assert read(text, opened=opened) == (thinking, answer)


@pytest.mark.parametrize(
    ("controls", "text", "thinking", "answer"),
    [
        (MISTRAL, "[THINK]Hm.[/THINK]Yes.", "Hm.", "Yes."),
        (COHERE, "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Yes.<|END_RESPONSE|>", "Hm.", "Yes."),
        (GEMMA, "<|channel>thought\nHm.<channel|>Yes.", "Hm.", "Yes."),
        (SOLAR, "<|think|>Hm.<|end|><|begin|>assistant<|content|>Yes.<|end|>", "Hm.", "Yes."),
        (
            HARMONY,
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
            "Hm.",
            "Yes.",
        ),
        (HARMONY, "<|channel|>final<|message|>Yes.", "", "Yes."),
        (HARMONY, "Yes, plainly.", "", "Yes, plainly."),
        (
            HARMONY,
            "<|channel|>commentary<|message|>First …<|end|><|start|>assistant<|channel|>final<|message|> then.",
            "",
            "First … then.",
        ),
        (HARMONY, '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a":1}', '{"a":1}', ""),
    ],
)
def test_control_tokens_that_mark_thinking(controls: set[str], text: str, thinking: str, answer: str) -> None:
    style = style_of("", controls, ())
    assert read(spoken(text, controls), style) == (thinking, answer)
    assert style.channels is ("channel" in text or controls is SOLAR or controls is HARMONY)


def test_a_control_token_of_another_meaning_is_none_of_ours() -> None:
    """`<|end|>` ends a turn in many vocabularies; only together with the others it closes a channel."""
    assert style_of("", {"<|end|>", "<|user|>", "<|content|>"}, ()) == ThinkingStyle(marks={})


def test_only_the_tags_of_the_model_are_looked_for() -> None:
    assert read("<thinking>a</thinking>b", style_of("", set(), ())) == ("", "<thinking>a</thinking>b")
    assert read("<thinking>a</thinking>b", style_of("… '<thinking>' …", set(), ())) == ("a", "b")
    assert read("<thinking>a</thinking>b", style_of("", set(), {"<thinking>"})) == ("a", "b")


@pytest.mark.parametrize(
    ("controls", "prompt", "lead"),
    [
        (set(), "assistant\n", ""),
        (set(), "assistant\n<think>\n", "\n</think>\n\n"),
        (set(), "assistant\n<think>\n\n</think>\n\n", ""),
        (HARMONY, "<|end|><|start|>assistant", "<|channel|>final<|message|>"),
        (SOLAR, "<|end|><|begin|>assistant", "<|content|>"),
        (COHERE, "<|CHATBOT_TOKEN|><|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
        (COHERE, "<|START_THINKING|><|END_THINKING|>", "<|START_RESPONSE|>"),
        (MISTRAL, "[/INST][THINK]", "[/THINK]"),
        (set(), "<|start|>assistant", ""),
    ],
)
def test_what_leads_to_the_answer_itself(controls: set[str], prompt: str, lead: str) -> None:
    """For an answer that is continued, or that a grammar begins: there is no thinking in it."""
    assert style_of("", controls, ()).answer_lead(prompt) == lead
    assert read("<think>x", begun=True) == ("", "<think>x")


def test_what_an_earlier_version_kept_as_one_text() -> None:
    assert without_thinking("<think>\nHm.\n</think>\n\nYes.") == "Yes."
    assert without_thinking("  Yes. <think>") == "  Yes. <think>"
    assert without_thinking("<think>stopped there") == ""


def test_marks_are_private_characters() -> None:
    assert all(len(mark) == 1 and 0x10F000 <= ord(mark) <= 0x10FFFD for mark in Mark)
