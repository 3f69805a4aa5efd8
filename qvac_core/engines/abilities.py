"""What a running model can be asked for. One of another kind is a mistake of whoever asks, told with what to do."""

from __future__ import annotations

from qvac_core.engines.interface import EmbeddingModel, LoadedModel, RunningModel
from qvac_core.engines.speech import SpeechModel
from qvac_core.errors import ModelError


def chat_of(model: RunningModel) -> LoadedModel:
    """Raises ModelError MODEL_OPERATION_NOT_SUPPORTED (52416)."""
    if isinstance(model, LoadedModel):
        return model
    raise not_supported("This model cannot chat. Choose a chat model.")


def embedding_of(model: RunningModel) -> EmbeddingModel:
    """Raises ModelError MODEL_OPERATION_NOT_SUPPORTED (52416)."""
    if isinstance(model, EmbeddingModel):
        return model
    raise not_supported("This model makes no embeddings. Choose an embedding model.")


def speech_of(model: RunningModel) -> SpeechModel:
    """Raises ModelError MODEL_OPERATION_NOT_SUPPORTED (52416)."""
    if isinstance(model, SpeechModel):
        return model
    raise not_supported("This model transcribes no speech. Choose a Whisper model.")


def not_supported(sentence: str) -> ModelError:
    return ModelError(sentence, name="MODEL_OPERATION_NOT_SUPPORTED", code=52416)
