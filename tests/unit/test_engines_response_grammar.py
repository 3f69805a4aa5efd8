"""Schemas as clients send them, and what a model may then write: whole values of random writers, judged one by one."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from qvac_core.engines.guided_sampling import Guide, GuideVocabulary
from qvac_core.engines.response_grammar import grammar_for
from qvac_core.engines.response_schema import DEPTH_LIMIT, SCHEMA_LIMIT
from qvac_core.errors import ModelError

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parent.parent / "vectors" / "response_schemas.json").read_text(encoding="utf-8")
)
END = 256  # after one token for each byte
CLOSING, PRINTABLE = frozenset(b'"}],'), frozenset(range(32, 127))
EMOJI = 'red ☃ 😀 "x" back\\slash\nline'

Judge = Callable[[Any], bool]


def vocabulary(pieces: list[bytes] | None = None) -> GuideVocabulary:
    tokens = [*(bytes([value]) for value in range(256)), b"<end>", *(pieces or [])]
    return GuideVocabulary(tokens, [END], lambda token: token == END, lambda text: list(text.encode()))


BYTES = vocabulary()


def write(guide: Guide, seed: int, limit: int = 500) -> str | None:
    """What a model without any sense writes, in a hurry to come to an end; None when it does not."""
    chance = random.Random(seed)
    written = bytearray()
    for count in range(limit):
        logits = numpy.zeros(END + 1, numpy.float32)
        guide.restrict(logits)
        allowed = [int(token) for token in numpy.flatnonzero(numpy.isfinite(logits))]
        assert allowed
        if END in allowed and (len(allowed) == 1 or chance.random() < 0.5 or count > limit // 2):
            return written.decode()
        allowed = [token for token in allowed if token != END]
        closing = [token for token in allowed if token in CLOSING]
        if closing and chance.random() < (0.2 if count < 40 else 0.9):
            allowed = closing
        elif chance.random() < 0.8:
            allowed = [token for token in allowed if token in PRINTABLE] or allowed
        token = chance.choice(allowed)
        guide.accept(token)
        written.append(token)
    return None


def written(schema: dict[str, Any], seeds: range = range(8)) -> list[Any]:
    grammar = grammar_for(json.dumps(schema))
    texts = [write(Guide(BYTES, grammar), seed) for seed in seeds]
    return [json.loads(text) for text in texts if text is not None]


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_what_pydantic_and_zod_emit_makes_json(name: str) -> None:
    values = written(VECTORS[name], range(3))
    if name.removesuffix("-in") not in ("zod-strings", "pydantic-Strs", "zod-contact", "pydantic-Expr"):  # too long
        assert len(values) == 3
    if VECTORS[name].get("type") == "object":
        assert all(set(VECTORS[name].get("required", ())) <= set(value) for value in values)


def only(**schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}, "required": ["a"]}


def named(name: str) -> dict[str, Any]:
    return {"properties": {name: {"type": "null"}}, "required": [name]}


INTEGER = {"type": "integer"}
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@pytest.mark.parametrize(
    ("schema", "judge"),
    [
        (only(enum=[EMOJI, "é", 1, None]), lambda a: a in (EMOJI, "é", 1, None)),
        (only(const=EMOJI), lambda a: a == EMOJI),
        (only(const={"k": ["\\", '"', "\n", "\u2028"]}), lambda a: a == {"k": ["\\", '"', "\n", "\u2028"]}),
        (only(type="integer", maximum=5), lambda a: isinstance(a, int) and a <= 5),
        (only(type="integer", minimum=-3, exclusiveMaximum=3), lambda a: -3 <= a < 3),
        (only(type="number", minimum=0, maximum=1), lambda a: 0 <= a <= 1),
        (only(type="number", exclusiveMinimum=0, maximum=0.25), lambda a: 0 < a <= 0.25),
        (only(type="number", exclusiveMaximum=0, minimum=-0.5), lambda a: -0.5 <= a < 0),
        (only(type="number", minimum=0, exclusiveMinimum=True, maximum=2), lambda a: 0 < a <= 2),  # draft 4
        (only(type="integer", multipleOf=5, minimum=0, maximum=20), lambda a: a in (0, 5, 10, 15, 20)),
        (only(type="string", maxLength=300), lambda a: len(a) <= 300),
        (only(type="string", minLength=2, maxLength=4), lambda a: 2 <= len(a) <= 4),
        (only(type="string", pattern=r"^\d{3}-[a-z]+$"), lambda a: re.fullmatch(r"[0-9]{3}-[a-z]+", a)),
        (only(type="string", pattern="^(foo|bar)$"), lambda a: a in ("foo", "bar")),
        (only(type="string", format="uuid"), UUID.fullmatch),
        (only(type="string", format="date"), lambda a: re.fullmatch(r"\d{4}-\d\d-\d\d", a)),
        (only(type="string", format="email"), lambda a: "@" in a),
        (only(type="array", items={"type": "integer"}, minItems=1, maxItems=3), lambda a: 1 <= len(a) <= 3),
        (only(type="array", items=[INTEGER, {"type": "boolean"}], additionalItems=False), lambda a: len(a) <= 2),
        (only(type="array", items={"type": "boolean"}, maxItems=300), lambda a: len(a) <= 300),
        (only(type=["boolean", "string"]), lambda a: isinstance(a, bool | str)),
        (only(title="Anything"), lambda a: True),  # Pydantic's Any
        (only(), lambda a: True),
        (only(type="object"), lambda a: isinstance(a, dict)),
        (only(type="object", properties={"b": {"type": "null"}}), lambda a: set(a) <= {"b"}),
        (only(type="object", additionalProperties=INTEGER), lambda a: all(type(v) is int for v in a.values())),
        (only(propertyNames={"enum": ["x", "y"]}, type="object"), lambda a: set(a) <= {"x", "y"}),
        (only(propertyNames={"pattern": "^k[0-9]$"}, type="object"), lambda a: all(re.fullmatch(r"k\d", k) for k in a)),
        (only(anyOf=[{"type": "integer", "minimum": 7}, {"type": "null"}]), lambda a: a is None or a >= 7),
        (only(oneOf=[{"const": "p"}, {"const": "q"}]), lambda a: a in ("p", "q")),
        (only(allOf=[named("x"), named("y")], type="object"), lambda a: {"x", "y"} <= set(a)),
        # What cannot be enforced leaves its property free, and the others bound.
        (only(type="string", pattern="^(?!x).*$"), lambda a: isinstance(a, str)),
        (only(type="string", pattern="(unbalanced"), lambda a: isinstance(a, str)),
        (only(type="integer", multipleOf=1001), lambda a: isinstance(a, int)),
        (only(type="integer", maximum=10**300), lambda a: isinstance(a, int)),
        (only(**{"$ref": "#/nowhere"}), lambda a: True),
    ],
)  # fmt: skip
def test_values_arrive_as_they_stand_and_limits_hold(schema: dict[str, Any], judge: Judge) -> None:
    values = written(schema)
    assert values
    for value in values:
        assert set(value) == {"a"}
        assert judge(value["a"]), value


def test_properties_that_are_not_named_come_only_where_the_schema_says_so() -> None:
    named = {"type": "object", "properties": {"a": {"type": "null"}}}
    assert {key for value in written(named) for key in value} <= {"a"}
    opened = written({**named, "additionalProperties": True}, range(40))
    assert {key for value in opened for key in value} - {"a"}


def test_a_schema_may_refer_to_itself() -> None:
    node = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/n"}}}}
    values = written({"$defs": {"n": node}, "$ref": "#/$defs/n"}, range(20))

    def check(value: Any) -> int:
        assert set(value) <= {"kids"}
        return 1 + max((check(kid) for kid in value.get("kids", ())), default=0)

    assert max(map(check, values)) > 1


def test_an_answer_that_has_begun_goes_on() -> None:
    grammar = grammar_for(json.dumps(only(enum=["one", "two"])))
    so_far = '{"a": "t'
    text = write(Guide(BYTES, grammar, so_far), 1)
    assert text is not None and json.loads(so_far + text) == {"a": "two"}
    with pytest.raises(ModelError, match="does not fit"):
        Guide(BYTES, grammar, '{"b"')


def test_a_vocabulary_that_puts_a_space_before_each_text() -> None:
    """What the SentencePiece kind does: forced text must not come with it."""
    tokens = [*(bytes([value]) for value in range(256)), b"<end>"]
    spaced = GuideVocabulary(tokens, [END], lambda token: token == END, lambda text: list(b" " + text.encode()))
    for seed in range(5):
        text = write(Guide(spaced, grammar_for(json.dumps(only(const="forced words")))), seed)
        assert text is not None and json.loads(text) == {"a": "forced words"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("{not json", "not JSON"),
        ("[" * 5000, "not JSON|not an object|nested"),
        ("[]", "not an object"),
        (json.dumps({"enum": ["x" * SCHEMA_LIMIT]}), "too long"),
        ('{"items":' * DEPTH_LIMIT + '{"items":{}}' + "}" * DEPTH_LIMIT, "nested too deeply"),
        ('{"type": "integer", "minimum": 5, "maximum": 1}', "nothing can fulfil it"),
        (json.dumps({"allOf": [{"type": "string", "pattern": f"a{n}"} for n in range(6)]}), "too many patterns"),
        (json.dumps({"allOf": [{"type": "integer", "multipleOf": n} for n in (991, 997)]}), "too many patterns"),
    ],
)
def test_what_is_refused_is_refused_with_its_reason(schema: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as raised:
        grammar_for(schema)
    assert raised.value.code == 52406


def chained(count: int) -> dict[str, Any]:
    definitions = {f"d{n}": {"pattern": f"a{n}", "$ref": f"#/$defs/d{n + 1}"} for n in range(count)}
    return {"$defs": {**definitions, f"d{count}": {"type": "string"}}, "$ref": "#/$defs/d0"}


HOSTILE: dict[str, dict[str, Any]] = {
    "patterns over references": chained(6),
    "itself": {"$ref": "#"},
    "itself and more": {"allOf": [{"$ref": "#"}, {"pattern": "x"}]},
    "a million letters": {"type": "string", "minLength": 1_000_000},
    "more items than are counted": {"type": "array", "items": {"type": "integer"}, "minItems": 1001},
    "items of items": {"maxItems": 999, "items": {"maxItems": 999, "items": {"maxItems": 999, "items": INTEGER}}},
    "states without end": {"type": "string", "pattern": "^(a|b)*a(a|b){200}$"},
    "repeats of repeats": {"type": "string", "pattern": "^((a{1,1000}){1,1000}){1,1000}$"},
    "letters of the world": {"type": "string", "pattern": r"^[\p{L}\w]{1,999}[^\d]{3,999}$"},
    "many names": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(900)}},
    "many kinds": {"anyOf": [{"properties": {f"k{n}": {"type": "string", "maxLength": 9}}} for n in range(300)]},
    "all of any of": {"allOf": [{"anyOf": [named(f"a{n}{m}") for m in range(9)]} for n in range(9)]},
    "many broken patterns": {"type": "object", "properties": {f"p{n}": {"pattern": f"(?={n})"} for n in range(600)}},
    "a fine multiple": {"type": "number", "multipleOf": 0.0005, "maximum": 1e9},
    "a place of 5000 digits": {"$ref": "#/anyOf/" + "9" * 5000, "anyOf": [{}]},
    "many patterns of names": {"patternProperties": {f"^a{n}": {} for n in range(6)}},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_schemas_cost_little(name: str) -> None:
    """Seconds of this process's own time: each of these is done in a fraction of one, or refused."""
    before = time.process_time()
    try:
        guide = Guide(BYTES, grammar_for(json.dumps(HOSTILE[name])))
        write(guide, 1, limit=40)
    except ModelError as error:
        assert error.code == 52406
    assert time.process_time() - before < 10


def test_counts_above_the_limit_are_left_to_the_reader() -> None:
    schema = {"type": "array", "minItems": 1001, "items": INTEGER, "maxItems": 1001}
    assert '"minItems"' not in grammar_for(json.dumps(schema))
    assert '"maxItems"' not in grammar_for(json.dumps(schema))
    assert '"minItems": 1000' in grammar_for(json.dumps({**schema, "minItems": 1000})).replace('":1', '": 1')
