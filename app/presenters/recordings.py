"""The sound of transcripts: where it plays, how it looks, why it cannot be heard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.audio.player import Output, Player
from app.audio.recording import Recording
from app.audio.waveforms import Waveforms

if TYPE_CHECKING:
    from app.transcript_words import Sound
    from qvac_core.core.transcript import Transcript


class Recordings(QObject):
    """One plays at a time. `changed` carries the id of the transcript's message, "" for all."""

    changed = Signal(str)

    def __init__(self, output: Output, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._player = Player(output, self)
        self._waveforms = Waveforms(self)
        self._played = ""
        self._troubles: dict[str, str] = {}
        self._player.moved.connect(lambda: self.changed.emit(self._played))
        self._player.ended.connect(self._ended)
        self._waveforms.grew.connect(lambda _recording: self.changed.emit(""))

    @property
    def played(self) -> str:
        """The message that is, or was, heard."""
        return self._played

    def close(self) -> None:
        self._player.close()
        self._waveforms.close()

    def sound(self, message_id: str, transcript: Transcript) -> Sound | None:
        """None where nobody knows where the recording lay."""
        recording = recording_of(transcript)
        if recording is None:
            return None
        from app.transcript_words import Sound  # not before a transcript is shown

        here = message_id == self._played
        return Sound(
            here and self._player.playing,
            self._player.position_ms if here else None,
            self._waveforms.of(recording),
            self._troubles.get(message_id, ""),
        )

    def show(self, transcript: Transcript) -> None:
        """It is looked at: its waveform is wanted."""
        recording = recording_of(transcript)
        if recording is not None:
            self._waveforms.want(recording)

    def play(self, message_id: str, transcript: Transcript, start_ms: int | None = None) -> None:
        """From there; None: from where it was paused, or the beginning."""
        recording = recording_of(transcript)
        if recording is None:
            return
        before, self._played = self._played, message_id
        self._troubles.pop(message_id, None)
        if start_ms is None:
            start_ms = self._player.position_ms if before == message_id else 0
        self._player.play(recording, start_ms)
        for changed in {before, message_id} - {""}:
            self.changed.emit(changed)

    def pause(self) -> None:
        if self._player.playing:
            self._player.pause()
            self.changed.emit(self._played)

    def forget(self) -> None:
        """Another conversation is shown: nobody could stop it there."""
        self._player.pause()
        self._played = ""

    def _ended(self, why: str) -> None:
        message_id = self._played
        if why:
            self._troubles[message_id] = why
        else:
            self._played = ""  # the next time from the beginning
        self.changed.emit(message_id)


def recording_of(transcript: Transcript) -> Recording | None:
    return Recording(Path(transcript.path), transcript.size_bytes) if transcript.path else None
