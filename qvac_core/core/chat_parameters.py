"""What a conversation asks for beside its messages, in the words of the wire and of the engine of this machine.

docs/wire/qvac.md section 5: generationParams and responseFormat of completionStream; instructions are a system message.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec import UNSET

from qvac_core.core.state import Parameters
from qvac_core.delegation.messages import GenerationParams, JsonSchemaFormat, NamedSchema, ResponseFormat
from qvac_core.engines.interface import UNTIL_THE_END, ChatMessage, SamplingParams
from qvac_core.engines.response_grammar import grammar_for
from qvac_core.errors import LocalProtocolError, ModelError

TEMPERATURE_MOST = 2.0
TOKENS_MOST = 1_000_000
SEED_MOST = 2**31 - 1
INSTRUCTIONS_MOST = 100_000
"""Letters. What is longer does not fit into any model."""
SCHEMA_NAME = "answer"


def with_instructions(history: tuple[ChatMessage, ...], parameters: Parameters) -> tuple[ChatMessage, ...]:
    """The history behind the instructions, byte for byte the same each time: what was computed of it is used again."""
    if not parameters.instructions.strip():
        return history
    return (ChatMessage("system", parameters.instructions), *history)


def longest(parameters: Parameters, most: int) -> int:
    """Tokens of the longest answer, as `predict`. most: as the settings say; 0 = no limit."""
    if parameters.max_tokens is not None:
        return parameters.max_tokens
    return most if most > 0 else UNTIL_THE_END


def sampling(parameters: Parameters, most: int) -> SamplingParams:
    return SamplingParams(
        temp=parameters.temperature,
        top_p=parameters.top_p,
        seed=parameters.seed,
        predict=longest(parameters, most),
    )


def generation_params(parameters: Parameters, most: int) -> GenerationParams:
    return GenerationParams(
        temp=_given(parameters.temperature),
        top_p=_given(parameters.top_p),
        seed=_given(parameters.seed),
        predict=longest(parameters, most),
        reasoning_budget=UNSET if parameters.think else 0,
    )


def response_format(parameters: Parameters) -> ResponseFormat | None:
    """Raises LocalProtocolError for a schema that is none."""
    if not parameters.schema.strip():
        return None
    return JsonSchemaFormat(NamedSchema(SCHEMA_NAME, _object_of(parameters.schema)))


def schema_text(parameters: Parameters) -> str | None:
    """For the engine of this machine. Raises LocalProtocolError."""
    return json.dumps(_object_of(parameters.schema)) if parameters.schema.strip() else None


def schema_fault(text: str) -> str:
    """What is wrong with the text of a JSON schema, in a sentence; "" when it can be used, and for no text."""
    if not text.strip():
        return ""
    try:
        grammar_for(json.dumps(_object_of(text)))
    except (LocalProtocolError, ModelError) as error:
        return error.message
    return ""


def checked(parameters: Parameters) -> Parameters:
    """The same. Raises LocalProtocolError for a number that no model takes."""
    _within("The temperature", parameters.temperature, 0.0, TEMPERATURE_MOST)
    _within("Top-p", parameters.top_p, 0.0, 1.0)
    _within("The longest answer", parameters.max_tokens, 1, TOKENS_MOST)
    _within("The seed", parameters.seed, 0, SEED_MOST)
    if len(parameters.instructions) > INSTRUCTIONS_MOST:
        raise LocalProtocolError(f"The instructions are longer than {INSTRUCTIONS_MOST:,} letters. Shorten them.")
    return parameters


def _within(name: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        raise LocalProtocolError(f"{name} is a number from {least:g} to {most:,g}, not {value:g}.")


def _given(value: float | None) -> Any:
    return UNSET if value is None else value


def _object_of(text: str) -> dict[str, Any]:
    try:
        schema = json.loads(text)
    except json.JSONDecodeError as error:
        raise LocalProtocolError(
            f"The schema is no JSON: look at line {error.lineno}, column {error.colno}."
        ) from error
    except ValueError as error:  # a number of more digits than Python reads
        raise LocalProtocolError("The schema is no JSON that can be read.") from error
    except RecursionError as error:
        raise LocalProtocolError("The schema is nested too deep.") from error
    if not isinstance(schema, dict):
        raise LocalProtocolError("A JSON schema is an object: it begins with { and ends with }.")
    return schema
