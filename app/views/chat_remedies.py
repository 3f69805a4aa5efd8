"""Which buttons stand under a failed answer: each cause has its remedy first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtGui import QClipboard, QGuiApplication

from app.i18n import tr
from app.presenters.chat import ChatPresenter
from app.presenters.chat_words import Cause, cause_of, default_model
from app.widgets.error_panel import Act
from app.words import size
from qvac_core.core.state import Message, Target
from qvac_core.late_dataclass import dataclass

MOST_MODELS = 2


@dataclass(frozen=True, slots=True)
class Remedies:
    """`add_provider` opens its dialog, with a key to check or with none; `network` opens the one with the relays."""

    presenter: ChatPresenter
    add_provider: Callable[[str], None]
    network: Callable[[], None]

    def acts(self, message: Message) -> tuple[Act, ...]:
        if message.error is None:
            return ()
        cause = cause_of(message.error)
        retry = self.presenter.retry
        key = self.presenter.target.provider_key
        if cause is Cause.REFUSED:
            return (
                Act(tr("Ask again"), retry, "primary", "send"),
                Act(tr("Copy my key"), self._copy_key),
                *self._here(),
            )
        if cause is Cause.NOT_FOUND:
            check = Act(tr("Check the key"), lambda: self.add_provider(key))
            return (Act(tr("Try again"), retry, "primary", "rotate-cw"), check, *self._here())
        if cause is Cause.NO_PATH:
            return (
                Act(tr("Add a relay"), self.network, "primary", "cable"),
                Act(tr("Try again"), retry),
                *self._here(),
            )
        if cause is Cause.NO_NETWORK:
            return (
                Act(tr("Try again"), retry, "primary", "rotate-cw"),
                Act(tr("Network"), self.network),
                *self._here(),
            )
        if cause is Cause.MODEL_NOT_SHARED:
            return (*self._other_models(), Act(tr("Try again"), retry))
        if cause is Cause.TOO_LONG:  # what was too long once is so again
            return (Act(tr("New conversation"), self.presenter.new_conversation, "primary", "square-pen"),)
        if cause is Cause.USED_UP:  # the same question is refused until tomorrow: somebody else answers it
            first, *others = (*self._others(), *self._here(), Act(tr("Retry"), retry))
            return (replace(first, kind="primary"), *others)
        if cause is Cause.NO_MODEL_HERE:
            return (self._get("primary"), Act(tr("Add a provider…"), lambda: self.add_provider("")))
        return (Act(tr("Retry"), retry, "primary", "rotate-ccw"), *self._here())

    def _here(self) -> tuple[Act, ...]:
        if not self.presenter.target.provider_key:
            return ()
        if not self.presenter.models:
            return (self._get("quiet"),)
        return (Act(tr("Chat on this machine"), self._answer_here, icon="laptop"),)

    def _get(self, kind: str) -> Act:
        name, octets, _licence = default_model()
        return Act(
            tr("Get {name}, {size}", name=name.rsplit(" ", 1)[0], size=size(octets)),
            self.presenter.download_default,
            kind,
            "download",
        )

    def _others(self) -> tuple[Act, ...]:
        """Other providers that are there, first those with the same model."""
        key = self.presenter.target.provider_key
        model = self.presenter.directory.model_name(self.presenter.target)
        found = [
            (provider, same or provider.models[0])
            for provider in self.presenter.providers
            if provider.public_key != key and provider.state == "online" and provider.models
            for same in [next((each for each in provider.models if each.name == model), None)]
        ]
        found.sort(key=lambda each: each[1].name != model)

        def use(target: Target) -> Callable[[], None]:
            return lambda: self.presenter.retry_with(target)

        return tuple(
            Act(tr("Use {name}", name=provider.name), use(Target(provider.public_key, model.source)))
            for provider, model in found[:MOST_MODELS]
        )

    def _other_models(self) -> tuple[Act, ...]:
        key = self.presenter.target.provider_key
        provider = self.presenter.provider(key)
        # What it shares was asked when it connected: the model of this answer may stand there still.
        gone = self.presenter.target.model
        models = [model for model in (provider.models if provider else ()) if gone not in (model.source, model.name)]

        def use(source: str) -> Callable[[], None]:
            return lambda: self.presenter.retry_with(Target(key, source))

        return tuple(
            Act(tr("Use {name}", name=model.name), use(model.source), "primary" if index == 0 else "quiet")
            for index, model in enumerate(models[:MOST_MODELS])
        )

    def _answer_here(self) -> None:
        self.presenter.retry_with(Target())

    def _copy_key(self) -> None:
        QGuiApplication.clipboard().setText(self.presenter.public_key, QClipboard.Mode.Clipboard)
