"""`qvac-desktop transcribe` as two people use it: a recording here, and one that a provider writes down."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.program import qvac_desktop
from tests.e2e.test_delegation import GUEST_SEED, STRANGER_SEED, providing
from tests.e2e.test_speech_engine import alike, words
from tests.sound_files import encode
from tests.speech_files import KENNEDY, english_model, kennedy_wav, samples_of

pytestmark = pytest.mark.timeout(600)


def test_here_and_by_a_provider(bootstrap: str, tmp_path: Path) -> None:
    video = tmp_path / "talk.mp4"
    video.write_bytes(encode("mp4", samples_of(kennedy_wav())))
    model = str(english_model())
    with qvac_desktop("transcribe", str(video), "--model", model, "--json", data_dir=tmp_path / "alone") as here:
        assert here.finish() == 0, here.stderr
    (done,) = here.of("done")
    assert words(done["text"]) == words(KENNEDY) and done["language"] == "en" and done["outcome"] == "eos"
    assert here.of("progress")[-1]["doneMs"] >= 10_900
    with providing(bootstrap, english_model(), tmp_path / "provider") as provider:
        key = provider.until("ready")["publicKey"]
        options = ("--json", "--bootstrap", bootstrap, "--seed")
        common = ("transcribe", str(video), key, *options)
        with qvac_desktop(*common, GUEST_SEED, "--timeout", "60", data_dir=tmp_path / "guest") as guest:
            assert guest.finish() == 0, guest.stderr
        (there,) = guest.of("done")
        assert there["text"] == done["text"] and there["segments"] == done["segments"]
        assert guest.of("upload")[-1] == {
            "event": "upload",
            "sent": video.stat().st_size,
            "total": video.stat().st_size,
        }
        assert guest.of("segment") == here.of("segment")
        served = provider.until("done", method="transcribe")
        assert served["outcome"] == "eos"
        named = (*common, GUEST_SEED, "--model", "no-such-model")
        with qvac_desktop(*named, data_dir=tmp_path / "guest") as guest:
            assert guest.finish() == 1
        assert "does not share a model of that name" in guest.stderr
        with qvac_desktop(*common, STRANGER_SEED, data_dir=tmp_path / "stranger") as stranger:
            assert stranger.finish() == 1
        assert "has not allowed your key" in stranger.stderr
    missing = ("transcribe", str(tmp_path / "none.mp3"), "--model", model)
    with qvac_desktop(*missing, data_dir=tmp_path / "alone") as nothing:
        assert nothing.finish() == 1
    assert nothing.stderr.strip() == "Error: The file cannot be read: No such file or directory."


def test_a_provider_that_is_killed_and_a_machine_that_goes_on(bootstrap: str, tmp_path: Path) -> None:
    long = tmp_path / "long.flac"
    long.write_bytes(encode("flac", np.tile(samples_of(kennedy_wav()), 5)))
    models = tmp_path / "guest" / "models"
    models.mkdir(parents=True)
    shutil.copy(english_model(), models)
    with providing(bootstrap, english_model(), tmp_path / "provider") as provider:
        key = provider.until("ready")["publicKey"]
        options = ("--json", "--bootstrap", bootstrap, "--seed", GUEST_SEED, "--fallback")
        with qvac_desktop("transcribe", str(long), key, *options, data_dir=tmp_path / "guest") as guest:
            guest.until("segment")
            provider.kill()
            assert guest.finish() == 0, guest.stderr
    (seam,) = guest.of("seam")
    assert seam["from"] == "delegated" and seam["to"] == "local"
    (done,) = guest.of("done")
    segments = guest.of("segment")
    assert alike(words(done["text"]), words(KENNEDY) * 5)
    assert [each["id"] for each in segments] == list(range(len(segments)))
    assert all(one["endMs"] <= other["startMs"] for one, other in itertools.pairwise(segments))
    assert any(each["endMs"] <= seam["atMs"] for each in segments) and done["audioMs"] == 55_000
