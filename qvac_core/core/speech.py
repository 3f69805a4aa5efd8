"""Speech for the front doors: who can transcribe, recordings and live sound, by this machine or by a provider."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from types import TracebackType

from qvac_core.core.state import SpeechChoice
from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.delegation.messages import ModelProgress
from qvac_core.delegation.model_config import SPEECH_MODEL_TYPE
from qvac_core.delegation.transcript import UploadProgress
from qvac_core.engines.abilities import speech_of
from qvac_core.engines.interface import LOCAL_OWNER, LibraryModel, ModelConfig
from qvac_core.engines.library import Library
from qvac_core.engines.live_speech import LiveOptions, LiveSession, LiveTranscription
from qvac_core.engines.model_kind import SPEECH_TYPE
from qvac_core.engines.pool import Lease, ModelPool
from qvac_core.engines.speech import Audio, SpeechModel, SpeechModelInfo, TranscriptionEvent, TranscriptionRequest
from qvac_core.engines.speech_engine import speech_missing
from qvac_core.errors import ModelError
from qvac_core.store.records import Target

NO_MODEL = "NO_SPEECH_MODEL"
HOW_TO_GET_ONE = (
    "No model that understands speech is on this machine. Get one: download WHISPER_TINY (78 MB) or a larger one, "
    "or add a Whisper file (ggml .bin)."
)

LoadProgress = Callable[[ModelProgress], None]


class Speech:
    """`load_config`: how this machine loads models for everybody. preferred: the model of the settings, "" = none."""

    def __init__(
        self,
        library: Library,
        pool: ModelPool,
        load_config: ModelConfig,
        consumer: Consumer,
        own_key: bytes,
        preferred: Callable[[], str] = lambda: "",
    ) -> None:
        self._preferred = preferred
        self._library = library
        self._pool = pool
        self._load_config = load_config
        self._consumer = consumer
        self._own_key = own_key

    def choices(self) -> tuple[SpeechChoice, ...]:
        """Of this machine."""
        reason = speech_missing()
        loaded = {pooled.model.name: pooled.info for pooled in self._pool.loaded()}
        return tuple(
            SpeechChoice(
                model.name,
                loaded=loaded.get(model.name) is not None,
                usable=not reason,
                reason=reason,
                languages=_languages(model, loaded.get(model.name)),
                preferred=model.name == self._preferred(),
            )
            for model in self._models()
        )

    async def transcribe(
        self,
        audio: Audio,
        target: Target,
        *,
        language: str = "",
        prompt: str = "",
        translate: bool = False,
        on_load: LoadProgress | None = None,
        on_upload: UploadProgress | None = None,
        delegate: Delegate | None = None,
        start_ms: int = 0,
        impatient: Callable[[], bool] | None = None,
    ) -> AsyncGenerator[TranscriptionEvent, None]:
        """As `SpeechModel.transcribe`. target.model "" = the first there that can. Leaving it cancels.

        delegate: how its provider is reached. start_ms: what is before it was heard already. impatient: whether
        somebody else could go on; then a provider that is gone is given up within a second.

        Raises ModelError, DelegationError, ….
        """
        if (there := self._delegate(target, delegate)) is not None:
            model_id = await self._load_there(there, target.model, language, translate, on_load)
            events = self._consumer.transcribe(
                model_id,
                audio,
                delegate=there,
                prompt=prompt,
                on_upload=on_upload,
                start_ms=start_ms,
                impatient=impatient,
            )
            async with aclosing(events):
                async for event in events:
                    yield event
            return
        with await self._lease(target.model) as lease:
            request = TranscriptionRequest(
                uuid.uuid4().hex,
                audio,
                language=language,
                prompt=prompt,
                translate=translate,
                owner=LOCAL_OWNER,
                start_ms=start_ms,
            )
            heard = speech_of(lease.model).transcribe(request)
            async with aclosing(heard):  # type: ignore[type-var]
                async for event in heard:
                    yield event

    async def live(self, options: LiveOptions, target: Target) -> LiveSession:
        """A live transcript, open. Raises as `transcribe`."""
        if (there := self._delegate(target, None)) is not None:
            model_id = await self._load_there(there, target.model, options.language, options.translate, None)
            return await self._consumer.transcribe_live(model_id, options, delegate=there)
        lease = await self._lease(target.model)
        return LeasedLive(speech_of(lease.model), options, lease)

    # --- Here -----------------------------------------------------------------------------------------------------

    def _models(self) -> list[LibraryModel]:
        return [model for model in self._library.models() if model.model_type == SPEECH_TYPE]

    async def _lease(self, name: str) -> Lease:
        if reason := speech_missing():
            raise ModelError(reason, name=NO_MODEL)
        models = self._models()
        if name:
            models = [model for model in [self._library.find(name)] if model is not None]
            if models and models[0].model_type != SPEECH_TYPE:
                raise ModelError("This model transcribes no speech. Choose a Whisper model.", name=NO_MODEL)
        in_use = {pooled.model.name for pooled in self._pool.loaded()}
        wanted, preferred = list(models), self._preferred()
        wanted.sort(key=lambda model: (model.name != preferred, model.name not in in_use))  # stable
        chosen = next(iter(wanted), None)
        if chosen is None:
            raise ModelError(HOW_TO_GET_ONE, name=NO_MODEL)
        return await self._pool.acquire(chosen, self._load_config)

    # --- There ----------------------------------------------------------------------------------------------------

    def _delegate(self, target: Target, delegate: Delegate | None) -> Delegate | None:
        if not target.provider_key or target.provider_key == self._own_key.hex():
            return None
        return delegate or Delegate(bytes.fromhex(target.provider_key))

    async def _load_there(
        self, delegate: Delegate, model: str, language: str, translate: bool, on_load: LoadProgress | None
    ) -> str:
        wanted = model or await self._first_there(delegate)
        config: dict[str, object] = {"audio_format": "f32le"}
        if language:
            config["language"] = language
        if translate:
            config["translate"] = True
        loaded = await self._consumer.load_model(
            wanted, delegate=delegate, model_type=SPEECH_MODEL_TYPE, model_config=config, on_progress=on_load
        )
        return loaded.model_id

    async def _first_there(self, delegate: Delegate) -> str:
        offered = await self._consumer.list_models(delegate)
        if offered is None:
            raise ModelError(
                "This provider cannot tell its models (it is not QVAC Desktop): name the one to use.", name=NO_MODEL
            )
        name = next((entry.name for entry in offered if "transcribe" in entry.abilities), "")
        if not name:
            raise ModelError("This provider shares no model that understands speech with you.", name=NO_MODEL)
        return name


class LeasedLive(LiveTranscription):
    """A live transcript that gives its model back when it is closed."""

    def __init__(self, model: SpeechModel, options: LiveOptions, lease: Lease) -> None:
        super().__init__(model, options, owner=LOCAL_OWNER)
        self._lease = lease

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            self._lease.release()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def _languages(model: LibraryModel, info: object) -> tuple[str, ...]:
    if isinstance(info, SpeechModelInfo):
        return info.languages
    return ("en",) if model.english_only else ()
