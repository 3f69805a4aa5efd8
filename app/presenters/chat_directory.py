"""Who is who: names of targets and models, and who gave an answer. Knows no Qt."""

from __future__ import annotations

from app.i18n import tr
from app.presenters.chat_words import THIS_MACHINE
from qvac_core.core.state import Message, ProviderEntry, SharedModel, Target
from qvac_core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who computes: a provider with its key (as far as it is known), or this machine."""

    name: str
    public_key: str = ""

    @property
    def local(self) -> bool:
        return not self.public_key and self.name == tr(THIS_MACHINE)


@dataclass(frozen=True, slots=True)
class Directory:
    providers: tuple[ProviderEntry, ...]
    models: tuple[SharedModel, ...]

    def provider(self, public_key: str) -> ProviderEntry | None:
        return next((p for p in self.providers if p.public_key == public_key), None) if public_key else None

    def target_name(self, target: Target) -> str:
        if not target.provider_key:
            return tr(THIS_MACHINE)
        provider = self.provider(target.provider_key)
        return provider.name if provider is not None else f"{target.provider_key[:8]} …"

    def model_name(self, target: Target) -> str:
        """The model's name for people; "" when the machine chooses and has none."""
        if not target.provider_key:
            here = self._local_model(target)
            return here.display_name if here is not None else model_label(target.model)
        provider = self.provider(target.provider_key)
        models = provider.models if provider is not None else ()
        found = next((m for m in models if target.model in (m.name, m.source)), None)
        if found is None and not target.model:
            found = next(iter(models), None)
        return found.name if found is not None else model_label(target.model)

    def context_tokens(self, target: Target) -> int:
        """Of the model that answers; 0 when it is not known."""
        if not target.provider_key:
            here = self._local_model(target)
            return here.n_ctx if here is not None else 0
        provider = self.provider(target.provider_key)
        models = provider.models if provider is not None else ()
        return next((m.context_tokens for m in models if target.model in (m.name, m.source)), 0)

    def speaker(self, message: Message, target: Target) -> Speaker:
        """Who gave an answer, or gives it now; `target` is where its conversation points."""
        if message.stats is None:
            if message.seams and THIS_MACHINE in message.seams[-1][1]:
                return Speaker(tr(THIS_MACHINE))
            return self._of(target)
        if message.stats.where == "local":
            return Speaker(tr(THIS_MACHINE))
        key = message.stats.provider_key
        named = next((p for p in self.providers if (p.public_key == key if key else p.name == message.stats.who)), None)
        return Speaker(named.name, named.public_key) if named is not None else Speaker(message.stats.who, key)

    def sees(self, target: Target) -> bool:
        """Whether the model there can be shown pictures; of a provider that has told nothing yet, it is hoped."""
        if not target.provider_key:
            here = self._local_model(target)
            return here is not None and here.vision
        provider = self.provider(target.provider_key)
        if provider is None or not provider.models:
            return True
        chosen = [m for m in provider.models if target.model in (m.name, m.source, "")]
        return next((m.vision for m in chosen if m.loaded), bool(chosen) and chosen[0].vision)

    def seeing_target(self, target: Target) -> Target | None:
        """A model that can be shown pictures: of the same machine, else of this one, else of another provider."""
        keys = dict.fromkeys((target.provider_key, "", *(p.public_key for p in self.providers if p.state == "online")))
        for key in keys:
            provider = self.provider(key)
            if provider is not None:
                found = next((m.source for m in provider.models if m.vision), None)
            else:
                found = next((m.name for m in self.models if m.vision), None) if not key else None
            if found is not None:
                return Target(key, found)
        return None

    def usable(self, target: Target) -> bool:
        if target.provider_key:
            return self.provider(target.provider_key) is not None
        return bool(self.models)

    def _of(self, target: Target) -> Speaker:
        return Speaker(self.target_name(target), target.provider_key)

    def _local_model(self, target: Target) -> SharedModel | None:
        found = next((m for m in self.models if m.name == target.model), None)
        return found if found is not None or target.model else next(iter(self.models), None)


def model_label(name: str) -> str:
    """The SDK's name in capitals becomes the name people know, also before anybody has described it."""
    if not name:
        return name
    from qvac_core.models import by_name, model_title  # the list of models: not before there is one to name

    known = by_name(name)
    return model_title(known.file) if known is not None else name
