"""Every request type of @qvac/sdk 0.16, its shape, and which of them a stranger may call.

dist/server/rpc/method-shapes.js of 0.16.0 and docs/wire/qvac.md sections 1 and 2. The shape matters even for a refusal:
an answer of the other shape hangs a JavaScript caller.
"""

from __future__ import annotations

from enum import Enum


class Shape(Enum):
    REPLY = "reply"
    STREAM = "stream"
    DUPLEX = "duplex"


# What a remote peer may call. Everything else is answered with RPC_UNKNOWN_REQUEST_TYPE and never executed.
REMOTE_SAFE = frozenset(
    {
        "heartbeat",
        "loadModel",
        "completionStream",
        "embed",
        "translate",
        "transcribe",
        "transcribeStream",
        "cancel",
        "unloadModel",
        # Between two QVAC Desktop peers (docs/wire/qvac.md section 12).
        "hello",
        "listModels",
        "keepalive",
        "claimGrant",
        "manage",
        "receipts",
        "signReceipts",
        "blobStatus",
        "putBlob",
        "listCopies",
        "copyModel",
    }
)

_STREAMS = (
    "batchCompletionStream",
    "bciTranscribe",
    "classify",
    "completionStream",
    "copyModel",
    "diffusionStream",
    "loggingStream",
    "ocrStream",
    "pluginInvokeStream",
    "textToSpeech",
    "transcribe",
    "translate",
    "upscaleStream",
    "videoStream",
)
_DUPLEXES = ("bciTranscribeStream", "completionOrchestrate", "textToSpeechStream", "transcribeStream")
_REPLIES = (
    "__init_config",
    "__shutdown__",
    "blobStatus",
    "cancel",
    "claimGrant",
    "deleteCache",
    "downloadAsset",
    "embed",
    "finetune",
    "getLoadedModelInfo",
    "getModelInfo",
    "heartbeat",
    "hello",
    "keepalive",
    "listCopies",
    "listModels",
    "loadModel",
    "manage",
    "modelRegistryGetModel",
    "modelRegistryList",
    "modelRegistrySearch",
    "pluginInvoke",
    "provide",
    "putBlob",
    "rag",
    "receipts",
    "resume",
    "signReceipts",
    "state",
    "stopProvide",
    "suspend",
    "unloadModel",
)

# Reply methods that stream when the request says `withProgress: true`.
_WITH_PROGRESS = frozenset({"loadModel", "downloadAsset", "rag", "finetune"})

SHAPES: dict[str, Shape] = {
    **dict.fromkeys(_STREAMS, Shape.STREAM),
    **dict.fromkeys(_DUPLEXES, Shape.DUPLEX),
    **dict.fromkeys(_REPLIES, Shape.REPLY),
}


def shape_of(method: str, with_progress: bool) -> Shape:
    """The shape a caller expects; an unknown method is answered as a reply, as the SDK does."""
    if with_progress and method in _WITH_PROGRESS:
        return Shape.STREAM
    return SHAPES.get(method, Shape.REPLY)
