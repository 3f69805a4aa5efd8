"""Chat templates: the model's own, their refusals, their bounds."""

from __future__ import annotations

import pytest

from qvac_core.engines.chat_template import ChatTemplate
from qvac_core.engines.interface import ChatMessage
from qvac_core.errors import ModelError

HELLO = [ChatMessage("user", "Hello")]
WITH_SYSTEM = [ChatMessage("system", "Be brief."), *HELLO]


def test_without_a_template_chatml() -> None:
    template = ChatTemplate("")
    assert not template.own
    assert template.render(WITH_SYSTEM) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_models_own_with_its_tokens() -> None:
    source = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m['content'] | trim }}{{ eos_token }}{% endfor %}"
    template = ChatTemplate(source, bos="<s>", eos="</s>")
    assert template.own
    assert template.render(HELLO) == "<s>[user]Hello</s>"


def test_what_template_authors_rely_on() -> None:
    source = (
        "{% for m in messages %}\n"
        "    {% if loop.index > 1 %}{% break %}{% endif %}\n"
        "    {% generation %}{{ m.content }}{% endgeneration %}\n"
        "{% endfor %}{{ {'ä': 1} | tojson }}{% if tools %}never{% endif %}"
    )
    text = ChatTemplate(source).render([*HELLO, ChatMessage("assistant", "unseen")])
    assert text.strip().startswith("Hello")
    assert text.endswith('{"ä": 1}')
    assert "unseen" not in text


def test_a_template_that_does_not_compile_gives_way_to_chatml() -> None:
    template = ChatTemplate("{% for %}")
    assert not template.own
    assert "<|im_start|>" in template.render(HELLO)


def test_a_template_without_system_role_gets_it_in_the_first_message() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    assert ChatTemplate(source).render(WITH_SYSTEM) == "<user>Be brief.\n\nHello"


def test_a_refusal_is_a_sentence() -> None:
    template = ChatTemplate("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(ModelError, match="roles must alternate") as raised:
        template.render(HELLO)
    assert raised.value.code == 52406


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}{{ messages.__class__.__base__.__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(9999) %}{% for j in range(9999) %}{{ 'x' * 100 }}{% endfor %}{% endfor %}",
        "{{ 1 / 0 }}",
        "{{ messages[99].content + 1 }}",
    ],
)
def test_a_malicious_template_is_only_refused(source: str) -> None:
    with pytest.raises(ModelError):
        ChatTemplate(source).render(HELLO)
