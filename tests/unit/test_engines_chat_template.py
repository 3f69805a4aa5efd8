"""Chat templates: the model's own, their refusals, their bounds."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qvac_core.engines.chat_template import ChatTemplate
from qvac_core.engines.interface import ChatMessage
from qvac_core.errors import ModelError

HELLO = [ChatMessage("user", "Hello")]
WITH_SYSTEM = [ChatMessage("system", "Be brief."), *HELLO]


def test_without_a_template_chatml() -> None:
    template = ChatTemplate("")
    assert not template.own
    assert template.render(WITH_SYSTEM).text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_models_own_with_its_tokens() -> None:
    source = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m['content'] | trim }}{{ eos_token }}{% endfor %}"
    template = ChatTemplate(source, bos="<s>", eos="</s>")
    assert template.own
    assert template.render(HELLO).text == "<s>[user]Hello</s>"


def test_what_template_authors_rely_on() -> None:
    source = (
        "{% for m in messages %}\n"
        "    {% if loop.index > 1 %}{% break %}{% endif %}\n"
        "    {% generation %}{{ m.content }}{% endgeneration %}\n"
        "{% endfor %}{{ {'ä': 1} | tojson }}{% if tools %}never{% endif %}"
    )
    text = ChatTemplate(source).render([*HELLO, ChatMessage("assistant", "unseen")]).text
    assert text.strip().startswith("Hello")
    assert text.endswith('{"ä": 1}')
    assert "unseen" not in text


def test_a_template_that_does_not_compile_gives_way_to_chatml() -> None:
    template = ChatTemplate("{% for %}")
    assert not template.own
    assert "<|im_start|>" in template.render(HELLO).text


def test_a_template_without_system_role_gets_it_in_the_first_message() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    assert ChatTemplate(source).render(WITH_SYSTEM).text == "<user>Be brief.\n\nHello"


def test_a_refusal_is_a_sentence() -> None:
    template = ChatTemplate("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(ModelError, match="roles must alternate") as raised:
        template.render(HELLO)
    assert raised.value.code == 52406


ALTERNATING = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "<{{ m.role }}>{{ m.content | trim }}</>{% endfor %}<assistant>"
)
SYSTEM_FIRST = (
    "{% if messages[0].role == 'system' %}<system>{{ messages[0].content }}</>{% endif %}"
    "{% for m in messages %}{% if m.role == 'user' or m.role == 'assistant' %}"
    "<{{ m.role }}>{{ m.content.strip() }}</>{% endif %}{% endfor %}<assistant>"
)
STRICT = (
    "{% for m in messages %}{% if m.role == 'system' and not loop.first %}"
    "{{ raise_exception('System message must be at the beginning.') }}"
    "{% elif m.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('Unexpected message role.') }}"
    "{% elif not m.content %}{{ raise_exception('Message must have a content') }}{% endif %}"
    "<{{ m.role }}>{{ m.content }}</>{% endfor %}<assistant>"
)
TYPED = (
    "{% for m in messages %}<{{ m.role }}>{% for c in m.content %}{{ c.text }}{% endfor %}</>{% endfor %}<assistant>"
)
CUTS_THINKING = (
    "{% for m in messages %}<{{ m.role }}>"
    "{% if m.role == 'assistant' %}{{ m.content.split('</think>')[-1].lstrip() }}{% else %}{{ m.content }}{% endif %}"
    "</>{% endfor %}<assistant>"
)


def said(*turns: str) -> list[ChatMessage]:
    """Each as "role: text"."""
    return [ChatMessage(role, text) for role, text in (turn.split(": ", 1) for turn in turns)]


@pytest.mark.parametrize(
    ("source", "history", "prompt"),
    [
        (ALTERNATING, said("user: A", "user: B"), "<user>A\n\nB</><assistant>"),
        (ALTERNATING, said("user: A", "assistant: ", "user: B"), "<user>A</><assistant></><user>B</><assistant>"),
        (ALTERNATING, said("assistant: Hi", "user: B"), "<user>Hello.</><assistant>Hi</><user>B</><assistant>"),
        (ALTERNATING, said("system: S", "user: A"), "<user>S\n\nA</><assistant>"),
        (ALTERNATING, said("developer: S", "user: A"), "<user>S\n\nA</><assistant>"),
        (ALTERNATING, said("system: S"), "<user>S</><assistant>"),
        (
            ALTERNATING,
            said("user: A", "assistant: B", "system: S", "system: T", "user: C"),
            "<user>S\n\nT\n\nA</><assistant>B</><user>C</><assistant>",
        ),
        (ALTERNATING, said("user: A", "assistant: B", "tool: R"), "<user>A</><assistant>B</><user>R</><assistant>"),
        (SYSTEM_FIRST, said("developer: S", "user: A"), "<system>S</><user>A</><assistant>"),
        (SYSTEM_FIRST, said("user: A", "system: S", "user: B"), "<system>S</><user>A\n\nB</><assistant>"),
        (SYSTEM_FIRST, said("system: S", "system: T", "user: A"), "<system>S\n\nT</><user>A</><assistant>"),
        (SYSTEM_FIRST, said("user: A", "narrator: B"), "<user>A</><user>B</><assistant>"),
        (SYSTEM_FIRST, said("user: A", "tool: R"), "<user>A\n\nR</><assistant>"),
        (STRICT, said("user: A", "system: S", "user: B"), "<system>S</><user>A\n\nB</><assistant>"),
        (STRICT, said("user: A", "assistant: ", "user: B"), "<user>A\n\nB</><assistant>"),
        (STRICT, said("developer: S", "tool: R", "user: A"), "<system>S</><user>R\n\nA</><assistant>"),
        (STRICT, said("user: A", "user: A"), "<user>A</><user>A</><assistant>"),  # taken as it is, so left as it is
        (TYPED, said("system: S", "user: A"), "<system>S</><user>A</><assistant>"),
        (CUTS_THINKING, said("user: A", "assistant: <think>x</think> B"), "<user>A</><assistant>B</><assistant>"),
    ],
)
def test_a_history_whose_text_is_fine_is_never_refused(source: str, history: list[ChatMessage], prompt: str) -> None:
    assert ChatTemplate(source).render(history).text == prompt


def test_a_template_that_drops_text_in_every_form_is_used_as_it_is() -> None:
    source = "{% for m in messages %}{% if loop.last %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}"
    assert ChatTemplate(source).render(said("user: A", "assistant: B", "user: C")).text == "<user>C"


def test_a_template_that_needs_a_list_of_tools_gets_an_empty_one() -> None:
    source = "{% for tool in tools %}{{ tool }}{% endfor %}{{ messages[0].content }}"
    assert ChatTemplate(source).render(HELLO).text == "Hello"


def test_a_template_that_needs_its_functions_and_the_date_gets_them() -> None:
    """As FireFunction v2 does; where they may be missing they are, as most templates ask whether they are there."""
    source = (
        "{% set told = 'Functions: ' + functions + ', today ' + datetime %}{{ told[:13] }} {{ messages[0].content }}"
    )
    assert ChatTemplate(source).render(HELLO).text == "Functions: [] Hello"
    source = "{% if functions %}{{ functions }}{% endif %}{{ messages[0].content }}"
    assert ChatTemplate(source).render(HELLO).text == "Hello"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ 'é' | tojson }}", '"é"'),
        ("{{ 'é' | tojson(ensure_ascii=False) }}", '"é"'),
        ("{{ 'é' | tojson(true) }}", '"\\u00e9"'),
        ("{{ {'b': 1, 'a': '<é>'} | tojson(indent=2, sort_keys=true) }}", '{\n  "a": "<é>",\n  "b": 1\n}'),
        ("{{ [1, 2] | tojson(separators=(',', ':')) }}", "[1,2]"),
        ("{{ [1] | tojson(false, 1) }}", "[\n 1\n]"),
        ("{% set x = [] %}{% do x.append('a') %}{{ x }}", "['a']"),
        ("{% set x = [1, 2] %}{% set _ = x.pop() %}{{ x }}", "[1]"),
        ("{% set y = {} %}{% set _ = y.update({'k': 1}) %}{{ y }}", "{'k': 1}"),
        (
            "{% set n = namespace(x=[]) %}{% for i in range(2) %}{% set n.x = n.x + [i] %}{% endfor %}{{ n.x }}",
            "[0, 1]",
        ),
        ("{{ strftime_now('%Y')[:2] }}", "20"),
        ("{{ documents is none and tools is none and custom is undefined }}", "True"),
        ("{{ messages.append({'role': 'user', 'content': 'B'}) }}{{ messages | length }}", "None2"),
    ],
)
def test_filters_and_globals_that_template_authors_count_on(source: str, text: str) -> None:
    prompt = ChatTemplate(source + "{{ messages[0].content }}").render(HELLO)
    assert prompt.text == text + "Hello"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}{{ messages.__class__.__base__.__subclasses__() }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(9999) %}{% for j in range(9999) %}{{ 'x' * 100 }}{% endfor %}{% endfor %}",
        "{{ 1 / 0 }}",
        "{{ messages[99].content + 1 }}",
    ],
)
def test_a_malicious_template_is_only_refused(source: str) -> None:
    with pytest.raises(ModelError):
        ChatTemplate(source).render(HELLO)


def test_thinking_is_switched_off_where_the_answer_is_to_begin() -> None:
    """By the template where it knows how, else by closing what it opens."""
    closes = "{{ messages[0].content }}<assistant>{% if enable_thinking is false %}<think></think>{% endif %}"
    opens = "{{ messages[0].content }}<assistant>{{ '<think>\n' }}"
    assert ChatTemplate(closes).render(HELLO).text == "Hello<assistant>"
    assert ChatTemplate(closes).render(HELLO, answer_now=True).text == "Hello<assistant><think></think>"
    assert ChatTemplate(closes).render(HELLO, so_far="Hi").text == "Hello<assistant><think></think>Hi"
    assert ChatTemplate(opens).render(HELLO).opened == "<think>"
    assert ChatTemplate(opens).render(HELLO, answer_now=True).text == "Hello<assistant><think>\n\n</think>\n\n"
    assert ChatTemplate(opens).render(HELLO, answer_now=True).opened == ""


@given(
    st.lists(
        st.tuples(st.sampled_from(["system", "developer", "user", "assistant", "tool", "x"]), st.sampled_from("abc ")),
        min_size=1,
        max_size=7,
    ),
    st.sampled_from([ALTERNATING, SYSTEM_FIRST, STRICT, TYPED]),
)
def test_no_form_of_a_history_loses_any_text(turns: list[tuple[str, str]], source: str) -> None:
    texts = [f"{letter}{place}" if letter.strip() else "" for place, (_, letter) in enumerate(turns)]
    assume(any(texts))
    history = [ChatMessage(role, text) for (role, _), text in zip(turns, texts, strict=True)]
    prompt = ChatTemplate(source).render(history).text
    assert all(text in prompt for text in texts)


@pytest.mark.parametrize(
    "source",
    [
        "{% set d = {'a': 1} %}{% for k in d %}{% do d.update({k ~ 'x': 1}) %}{% endfor %}",
        "{% for m in messages %}{% do messages.append(m) %}{% endfor %}",
        "{{ ('a' * 10000000000) | length }}",
        "{{ ([0] * 10000000000) | length }}",
        "{{ 9 ** (9 ** 9) }}",
        "{{ cycler() }}",
    ],
)
def test_a_template_that_trips_or_never_ends_is_a_refusal(source: str) -> None:
    with pytest.raises(ModelError, match="refuses this conversation"):
        ChatTemplate(source).render((ChatMessage("user", "Hello"),))
