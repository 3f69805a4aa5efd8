"""What a person pastes into a program so that it uses this endpoint. Knows no Qt.

The code is the program's own language and is not translated; its comments are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from app.i18n import later, tr


@dataclass(frozen=True, slots=True)
class Snippet:
    """language: of the colours; hint: what it is for, and what it needs."""

    code: str
    language: str
    hint: str


KINDS = (
    ("curl", "curl"),
    ("python", "Python"),
    ("javascript", "JavaScript"),
    ("vscode", "VS Code"),
    ("zed", "Zed"),
    ("other", later("Other editors")),
)


def shortened(end: str) -> str:
    """A token as it is shown: the snippets of a screenshot give nothing away."""
    return f"qvac-…{end}"


def snippet(kind: str, address: str, token: str, model: str) -> Snippet:
    """token: whole or shortened. model: by the name that programs use."""
    quoted = json.dumps(model, ensure_ascii=False)
    question = "Name three uses of a barcode."
    match kind:
        case "curl":
            body = json.dumps({"model": model, "messages": [{"role": "user", "content": question}]}, ensure_ascii=False)
            body = body.replace("'", "'\\''")
            code = (
                f"curl {address}/chat/completions \\\n"
                f'  -H "Authorization: Bearer {token}" \\\n'
                '  -H "Content-Type: application/json" \\\n'
                f"  -d '{body}'"
            )
            return Snippet(code, "bash", tr("for a terminal"))
        case "python":
            bare = json.dumps(model.partition("/")[2], ensure_ascii=False)
            comment = tr("or just {model}: whoever is nearest", model=bare)
            code = (
                "from openai import OpenAI\n\n"
                f'client = OpenAI(base_url="{address}", api_key="{token}")\n'
                "answer = client.chat.completions.create(\n"
                f"    model={quoted},  # {comment}\n"
                f'    messages=[{{"role": "user", "content": "{question}"}}],\n'
                ")\n"
                "print(answer.choices[0].message.content)"
            )
            return Snippet(code, "python", tr("python, needs the package openai"))
        case "javascript":
            code = (
                "import OpenAI from 'openai'\n\n"
                f"const client = new OpenAI({{ baseURL: '{address}', apiKey: '{token}' }})\n"
                "const answer = await client.chat.completions.create({\n"
                f"  model: {quoted},\n"
                f"  messages: [{{ role: 'user', content: '{question}' }}]\n"
                "})\n"
                "console.log(answer.choices[0].message.content)"
            )
            return Snippet(code, "javascript", tr("node, needs the package openai"))
        case "vscode":
            code = (
                "models:\n"
                "  - name: QVAC Desktop\n"
                "    provider: openai\n"
                f"    model: {quoted}\n"
                f"    apiBase: {address}\n"
                f"    apiKey: {token}\n"
                "    roles: [chat, edit]"
            )
            return Snippet(code, "yaml", tr("the extension Continue, in its config.yaml"))
        case "zed":
            models = [{"name": model, "display_name": model.partition("/")[2] or model, "max_tokens": 4096}]
            settings = {
                "language_models": {"openai_compatible": {"QVAC": {"api_url": address, "available_models": models}}}
            }
            return Snippet(
                json.dumps(settings, indent=2, ensure_ascii=False),
                "json",
                tr("in settings.json; Zed asks for the token in its agent's settings"),
            )
    code = f"Base URL: {address}\nAPI key:  {token}\nModel:    {model}"
    return Snippet(code, "", tr("whatever asks for an OpenAI-compatible server"))


def holds_token(kind: str) -> bool:
    """Zed keeps keys in the system's keyring and takes none from its settings."""
    return kind != "zed"
