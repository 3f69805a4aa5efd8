"""The process of a translation model: one thread that translates sentence by sentence, several requests in turn.

`python -m qvac_core.engines.translation_worker`, or `THE-APP --translation-worker` where the app is frozen. Between two
sentences the turn goes to whoever waited longest for one. A file that crashes the engine ends this process alone.
"""

from __future__ import annotations

import contextlib
import queue
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NoReturn

from qvac_core.engines.firefox_translation import FirefoxTranslator, Translated, sentences
from qvac_core.engines.marian_file import MarianFile, read_marian
from qvac_core.engines.sentences import sentences_of
from qvac_core.engines.translation_model import TextPart, TranslationModelInfo
from qvac_core.engines.translation_protocol import (
    TRANSLATION,
    Ended,
    Open,
    Told,
    TranslateTexts,
    TranslationCommand,
    TranslationReport,
)
from qvac_core.engines.worker_pipes import worker_process
from qvac_core.engines.worker_protocol import Cancel, Failed, Opened, Shutdown, Working
from qvac_core.errors import ModelError

# Beside twice the weights, which are packed anew: what the process, the engine and a vocabulary take.
WORKING_BYTES = 90 * 1024 * 1024
TOLD_SECONDS = 0.05  # parts are told together where they come faster

Inbox = queue.SimpleQueue[TranslationCommand]


class Chain:
    """The directions that a text goes through, one after the other."""

    def __init__(self, files: Sequence[MarianFile]) -> None:
        for first, second in pairwise(files):
            if first.target != second.source:
                raise ModelError(
                    f"These models do not follow each other: the first one ends in {first.target}, and the second "
                    f"begins in {second.source}."
                )
        self._legs = [FirefoxTranslator(file) for file in files]

    def parts(self, text: str) -> Iterator[Translated]:
        """The translation of each sentence, and what stands between them as it is."""
        return self._through(text, self._legs)

    def _through(self, text: str, legs: Sequence[FirefoxTranslator]) -> Iterator[Translated]:
        first, *others = legs
        for part in sentences_of(text, sentences, first.vocabulary.count):
            if part.as_it_is:
                yield Translated(part.text, characters=len(part.text))
                continue
            done = first.translate(part.text)
            if not others:
                yield replace(done, characters=len(part.text))
                continue
            # A translation may be longer than its sentence: it is cut anew for the second one.
            further = list(self._through(done.text, others))
            yield Translated(
                "".join(each.text for each in further), done.cut or any(each.cut for each in further), len(part.text)
            )


class Job:
    """One request in this process."""

    def __init__(self, order: TranslateTexts, arrived: int) -> None:
        self.order = order
        self.served = arrived  # when it last had a turn; younger is higher
        self.begun = False
        self.parts: Iterator[TextPart] | None = None

    def open(self, chain: Chain) -> Iterator[TextPart]:
        """Each part with what is as it is behind it, so that one step is one sentence."""
        self.begun = True
        self.parts = self._parts(chain)
        return self.parts

    def _parts(self, chain: Chain) -> Iterator[TextPart]:
        done = told = 0
        for number, text in enumerate(self.order.texts):
            at = done
            for each in chain.parts(text):
                told += 1
                at += each.characters
                if told > self.order.skip:
                    yield TextPart(number, each.text, False, each.cut, at)
            done += len(text)
            told += 1
            if told > self.order.skip:
                yield TextPart(number, "", True, False, done)


class Outbox:
    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._reports: list[TranslationReport] = []
        self._sent_at = 0.0

    def put(self, report: TranslationReport) -> None:
        self._reports.append(report)

    def flush(self, *, soon: bool = False) -> None:
        """soon: only where the last time is a while ago."""
        if self._reports and not (soon and time.monotonic() - self._sent_at < TOLD_SECONDS):
            self._pipe.write(TRANSLATION.frame_reports(self._reports))
            self._pipe.flush()
            self._reports = []
            self._sent_at = time.monotonic()


class TranslationWorker:
    """One loaded model, from its load to the end of the process. Raises ModelError when it cannot be loaded."""

    def __init__(self, order: Open, outbox: Outbox, inbox: Inbox) -> None:
        self._outbox = outbox
        self._inbox = inbox
        files = [read_marian(Path(path)) for path in order.paths]
        self._chain = Chain(files)
        self._jobs: dict[int, Job] = {}
        self._clock = 0
        self._at = 0
        self._leaving = False
        size = sum(path.stat().st_size for file in files for path in file.paths)
        info = TranslationModelInfo(
            name=files[0].path.stem,
            sha256="",
            n_ctx=0,
            n_ctx_train=0,
            slots=1,
            parameters=sum(file.parameters for file in files),
            size_bytes=size,
            memory_bytes=2 * size + WORKING_BYTES,
            backend_device="cpu",
            chat_template=False,
            engine="fxtranslate",
            source=files[0].source,
            target=files[-1].target,
            between=files[0].target if len(files) > 1 else "",
        )
        outbox.put(Opened(info))
        outbox.flush()

    def run(self) -> None:
        """Until Shutdown."""
        while not self._leaving:
            job = self._next()
            if job is None:
                self._outbox.flush()
                self._obey(self._inbox.get())
            else:
                self._work(job)
            self._hear_commands()

    def _next(self) -> Job | None:
        """Whose owner waited longest for a turn, and of those the request that did."""
        served: dict[str, int] = {}
        for job in self._jobs.values():
            served[job.order.owner] = max(served.get(job.order.owner, 0), job.served if job.begun else 0)
        return min(self._jobs.values(), key=lambda job: (served[job.order.owner], job.served), default=None)

    def _work(self, job: Job) -> None:
        number = job.order.id
        self._clock += 1
        job.served = self._clock
        if self._at != number:
            self._at = number
            self._outbox.put(Working(number))
            self._outbox.flush()
        try:
            part = next(job.parts or job.open(self._chain), None)
        except ModelError as error:
            self._end(number, Failed(number, error.name, error.code, error.message, "", dict(error.typed_fields)))
            return
        except Exception as error:  # noqa: BLE001
            # A mistake of ours with what a stranger sent: it must not cost the others' requests, as a crash would.
            traceback.print_exception(error)
            self._end(number, Failed(number, "TRANSLATION_FAILED", 52405, "This text trips the translation engine up."))
            return
        if part is None:
            self._end(number, Ended(number))
        else:
            self._outbox.put(Told(number, part))
            self._outbox.flush(soon=True)

    def _end(self, number: int, report: Ended | Failed) -> None:
        self._jobs.pop(number, None)
        self._outbox.put(report)
        self._outbox.flush()

    def _hear_commands(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._obey(self._inbox.get_nowait())

    def _obey(self, command: TranslationCommand) -> None:
        if isinstance(command, TranslateTexts):
            self._clock += 1
            self._jobs[command.id] = Job(command, self._clock)
        elif isinstance(command, Cancel):
            self._jobs.pop(command.id, None)
        elif isinstance(command, Shutdown):
            self._leaving = True


def main() -> NoReturn:
    """The process, to its end: it never returns."""
    worker_process(TRANSLATION, _serve)


def _serve(inbox: Inbox, reports: BinaryIO) -> None:
    command, outbox = inbox.get(), Outbox(reports)
    if not isinstance(command, Open):
        return
    try:
        worker = TranslationWorker(command, outbox, inbox)
    except ModelError as error:
        outbox.put(Failed(0, error.name, error.code, error.message, "", dict(error.typed_fields)))
        outbox.flush()
        return
    worker.run()


if __name__ == "__main__":
    main()
