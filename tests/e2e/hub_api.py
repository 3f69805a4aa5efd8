"""Answers of Hugging Face's API for the file server on loopback, in the form that huggingface_hub 2.4 reads.

GET /api/models?search=…&filter=gguf and GET /api/models/OWNER/NAME[/revision/COMMIT]?blobs=true.
"""

from __future__ import annotations

import hashlib

from tests.e2e.file_server import FileServer

COMMIT = "5d16c055a7c5cb276e721ee154f9c22420dde2a1"
TEMPLATE = "{% if tools %}{{ tools }}{% endif %}<think>{{ messages }}</think>"


def add_repository(
    server: FileServer,
    id: str,
    files: dict[str, bytes],
    *,
    licence: str = "apache-2.0",
    context: int = 32_768,
    template: str = TEMPLATE,
    task: str = "text-generation",
    architecture: str = "llama",
    commit: str = COMMIT,
) -> None:
    """With its files where a download looks for them. A search for anything finds every repository."""
    told = {
        "_id": "0",
        "id": id,
        "modelId": id,
        "author": id.partition("/")[0],
        "sha": commit,
        "gated": False,
        "private": False,
        "downloads": 12_345,
        "likes": 67,
        "pipeline_tag": task,
        "tags": ["gguf", f"license:{licence}", "endpoints_compatible"],
        "cardData": {"license": licence, "base_model": ["Somebody/Else"]},
        "gguf": {
            "total": 8_030_261_312,
            "architecture": architecture,
            "context_length": context,
            "chat_template": template,
            "bos_token": "<s>",
        },
        "siblings": [
            {"rfilename": ".gitattributes", "size": 1519, "blobId": "a6"},
            {"rfilename": "README.md", "size": 4096, "blobId": "b7"},
            *(
                {
                    "rfilename": name,
                    "size": len(data),
                    "blobId": "c8",
                    "lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 135},
                }
                for name, data in files.items()
            ),
        ],
    }
    server.api[f"/api/models/{id}"] = told
    server.api[f"/api/models/{id}/revision/{commit}"] = told
    listed = server.api.setdefault("/api/models", [])
    assert isinstance(listed, list)
    listed.append({key: told[key] for key in ("_id", "id", "modelId", "downloads", "likes", "tags", "pipeline_tag")})
    for name, data in files.items():
        server.files[f"/{id}/resolve/{commit}/{name}"] = data
