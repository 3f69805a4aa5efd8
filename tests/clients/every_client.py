# mypy: ignore-errors
# ruff: noqa: BLE001, PTH123
"""Run by the clients' own Python: what each of them gets from the endpoint, as one JSON line per client.

`python every_client.py CLIENT…` with BASE, KEY, CHAT, EMBED, SPEECH (names of models) and SOUND (a file) in the
environment. A client that raises where it should not is `{"raised": …}`.
"""

import asyncio
import json
import os
import sys
import time

BASE, KEY = os.environ["BASE"], os.environ["KEY"]
CHAT, EMBED, SPEECH, SOUND = (os.environ[name] for name in ("CHAT", "EMBED", "SPEECH", "SOUND"))
QUESTION = "Name a city."
FEW, MANY, ENOUGH = 8, 60, 300
os.environ.update(
    OPENAI_API_KEY=KEY, OPENAI_BASE_URL=BASE, OPENAI_AGENTS_DISABLE_TRACING="1", LITELLM_LOCAL_MODEL_COST_MAP="True"
)
ASKED = [{"role": "user", "content": QUESTION}]
SUM = [{"role": "user", "content": "How much is 2 plus 3?"}]
ADD = {
    "name": "add",
    "description": "Adds two numbers.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "number": {"type": "integer"}},
    "required": ["city", "number"],
    "additionalProperties": False,
}


def place_class():
    from pydantic import BaseModel

    class Place(BaseModel):
        city: str
        number: int

    return Place


def error(act):
    try:
        act()
    except Exception as raised:
        return f"{type(raised).__name__}: {raised}"
    return "nothing was raised"


def openai():
    import openai

    client = openai.OpenAI(base_url=BASE, api_key=KEY, max_retries=0)
    chat = client.chat.completions
    said = {"models": [model.id for model in client.models.list()]}
    said["model"] = client.models.retrieve(said["models"][0]).id
    whole = chat.create(model=CHAT, messages=ASKED, max_tokens=FEW, temperature=0)
    said["whole"], said["tokens"] = whole.choices[0].message.content, whole.usage.total_tokens
    usage = {"include_usage": True}
    pieces = list(
        chat.create(model=CHAT, messages=ASKED, max_tokens=FEW, temperature=0, stream=True, stream_options=usage)
    )
    said["streamed"] = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    said["finish"] = [piece.choices[0].finish_reason for piece in pieces if piece.choices][-1]
    said["usage"] = pieces[-1].usage.completion_tokens
    named = {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE, "strict": True}}
    formed = chat.create(model=CHAT, messages=ASKED, max_tokens=MANY, temperature=0, response_format=named)
    said["formed"] = json.loads(formed.choices[0].message.content)
    tools = [{"type": "function", "function": ADD}]
    called = chat.create(
        model=CHAT, messages=SUM, max_tokens=MANY, temperature=0, tools=tools, tool_choice="required"
    ).choices[0]
    said["called"] = [called.message.tool_calls[0].function.name, called.message.tool_calls[0].function.arguments]
    said["called_finish"] = called.finish_reason
    result = {"role": "tool", "tool_call_id": called.message.tool_calls[0].id, "content": "5"}
    after = chat.create(model=CHAT, messages=[*SUM, called.message, result], max_tokens=FEW, tools=tools)
    said["after"] = after.choices[0].message.content
    answered = client.responses.create(model=CHAT, input=QUESTION, max_output_tokens=FEW, temperature=0)
    said["response"], said["response_status"] = answered.output_text, answered.status
    with client.responses.stream(model=CHAT, input=QUESTION, max_output_tokens=FEW, temperature=0) as stream:
        last = list(stream)[-1]
    said["response_streamed"] = last.response.output_text
    more = client.responses.create(
        model=CHAT, input="And one more.", previous_response_id=answered.id, max_output_tokens=FEW
    )
    said["response_followed"] = more.usage.input_tokens > answered.usage.input_tokens
    vectors = client.embeddings.create(model=EMBED, input=["one", "two"])
    said["embedded"] = [len(vector.embedding) for vector in vectors.data]
    with open(SOUND, "rb") as file:
        said["heard"] = client.audio.transcriptions.create(model=SPEECH, file=file).text
    old = client.completions.create(model=CHAT, prompt=QUESTION, max_tokens=FEW, temperature=0)
    said["completion"] = old.choices[0].text
    stranger = openai.OpenAI(base_url=BASE, api_key="no", max_retries=0)
    said["errors"] = [
        error(lambda: chat.create(model="nobody/nothing", messages=ASKED)),
        error(lambda: client.embeddings.create(model=EMBED, input=[[1, 2]])),
        error(lambda: chat.create(model=CHAT, messages=ASKED, logprobs=True)),
        error(lambda: chat.create(model=CHAT, messages=[{"role": "user", "content": "one two " * 5000}])),
        error(lambda: stranger.models.list()),
    ]
    return said


def langchain():
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    @tool
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    model = ChatOpenAI(model=CHAT, max_tokens=FEW, temperature=0)
    long = ChatOpenAI(model=CHAT, max_tokens=MANY, temperature=0)
    embeddings = OpenAIEmbeddings(model=EMBED, check_embedding_ctx_length=False)
    formed = long.with_structured_output(place_class()).invoke(QUESTION)
    return {
        "whole": model.invoke(QUESTION).content,
        "streamed": "".join(piece.content for piece in model.stream(QUESTION)),
        "called": [call["name"] for call in long.bind_tools([add], tool_choice="required").invoke(SUM).tool_calls][:1],
        "formed": formed.model_dump(),
        "embedded": [len(embeddings.embed_query("one"))],
        "errors": [error(lambda: ChatOpenAI(model="nothing", max_retries=0).invoke(QUESTION))],
    }


def agents():
    from agents import Agent, ModelSettings, Runner, function_tool

    calls = []

    @function_tool
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        calls.append((a, b))
        return a + b

    def agent(tokens, choice=None, **more):
        settings = ModelSettings(max_tokens=tokens, temperature=0, tool_choice=choice)
        # Its MultiProvider takes what stands before the first slash for one of its own providers.
        return Agent(name="one", model=f"openai/{CHAT}", model_settings=settings, **more)

    async def all_of_them():
        # It raises for an answer that is cut at its greatest length, streamed or not: this one ends before.
        short = agent(ENOUGH, instructions="Be short.")
        whole = await Runner.run(short, "Say hi")
        formed = await Runner.run(agent(MANY, output_type=place_class()), QUESTION)
        called = await Runner.run(agent(ENOUGH, "required", tools=[add]), SUM, max_turns=3)
        stream = Runner.run_streamed(short, "Say hi")
        pieces = [event.data async for event in stream.stream_events() if event.type == "raw_response_event"]
        text = "".join(piece.delta for piece in pieces if piece.type == "response.output_text.delta")
        return {
            "whole": whole.final_output,
            "streamed": text,
            "formed": formed.final_output.model_dump(),
            "called": ["add"] if calls else [],
            "after": called.final_output,
        }

    return asyncio.run(all_of_them())


def pydantic_ai():
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel

    short, long = {"max_tokens": FEW, "temperature": 0}, {"max_tokens": MANY, "temperature": 0}

    async def by(model):
        agent = Agent(model)
        async with agent.run_stream(QUESTION, model_settings=short) as stream:
            pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
        formed = await Agent(model, output_type=place_class()).run(QUESTION, model_settings=long)
        whole = await agent.run(QUESTION, model_settings=short)
        return {"whole": whole.output, "streamed": "".join(pieces), "formed": formed.output.model_dump()}

    async def both():
        chat = await by(OpenAIChatModel(CHAT))
        return {**chat, "by_responses": await by(OpenAIResponsesModel(CHAT))}

    return asyncio.run(both())


def litellm():
    import litellm

    model, short = f"openai/{CHAT}", {"max_tokens": FEW, "temperature": 0, "api_base": BASE, "api_key": KEY}
    stream = litellm.completion(model, ASKED, stream=True, **short)
    tools = [{"type": "function", "function": ADD}]
    called = litellm.completion(model, SUM, tools=tools, tool_choice="required", **{**short, "max_tokens": MANY})
    vectors = litellm.embedding(f"openai/{EMBED}", ["one"], api_base=BASE, api_key=KEY)
    answered = litellm.responses(
        input=QUESTION, model=model, max_output_tokens=16, temperature=0, api_base=BASE, api_key=KEY
    )
    return {
        "whole": litellm.completion(model, ASKED, **short).choices[0].message.content,
        "streamed": "".join(piece.choices[0].delta.content or "" for piece in stream),
        "called": [called.choices[0].message.tool_calls[0].function.name],
        "response": answered.output[0].content[0].text,
        "embedded": [len(vectors.data[0]["embedding"])],
        "errors": [error(lambda: litellm.completion("openai/nothing", ASKED, num_retries=0, **short))],
    }


def llm():
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/extra-openai-models.yaml", "w") as file:
            json.dump([{"model_id": "ours", "model_name": CHAT, "api_base": BASE, "api_key_name": "ours"}], file)
        where = {**os.environ, "LLM_USER_PATH": folder}
        program = [sys.executable, "-m", "llm", "-m", "ours", "--key", KEY, "-o", "max_tokens", str(FEW)]
        ask = [*program, "-o", "temperature", "0", QUESTION]
        streamed = subprocess.run(ask, env=where, capture_output=True, text=True, check=False)
        whole = subprocess.run([*ask, "--no-stream"], env=where, capture_output=True, text=True, check=False)
    return {"streamed": streamed.stdout.strip("\n"), "whole": whole.stdout.strip("\n"), "stderr": streamed.stderr}


def cut():
    """An answer whose provider goes away in its middle: says when it has begun, then how it ended."""
    import openai

    client = openai.OpenAI(base_url=BASE, api_key=KEY, max_retries=0)
    stream = client.chat.completions.create(
        model=CHAT,
        messages=[{"role": "user", "content": "Count from one to 1000."}],
        max_tokens=2000,
        stream=True,
    )
    text, told = "", False
    try:
        for piece in stream:
            text += piece.choices[0].delta.content or ""
            if len(text) > 20 and not told:
                told = True
                print(json.dumps({"begun": text}), flush=True)
    except openai.APIError as raised:
        return {"text": text, "raised_by_it": type(raised).__name__, "message": str(raised)}
    return {"text": text, "ended": "as if it were whole"}


for name in sys.argv[1:]:
    started = time.process_time()
    try:
        result = globals()[name]()
    except Exception as raised:
        result = {"raised": f"{type(raised).__name__}: {raised}"[:2000]}
    print(json.dumps({"client": name, "seconds": round(time.process_time() - started, 1), **result}), flush=True)
