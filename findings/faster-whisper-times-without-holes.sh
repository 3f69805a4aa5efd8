#!/usr/bin/env bash
# faster-whisper 1.2.1 with PyAV 18.1.0: sound that begins later than its video is heard too early, and so are its subtitles.
#
# Expected: a video whose sound begins after three seconds (a title, a muted start, a track that was cut) decodes into samples that
# begin with three seconds of silence, as every player plays it: times of what is said are times of the video.
# What happens: `faster_whisper.decode_audio` puts the decoded frames one after the other. PyAV gives no frames for the hole, the
# frames' own times (`frame.time`) are not looked at, and everything lies three seconds early. No error, no warning.
# Who is hurt: whoever makes subtitles of videos with it, or with any program that concatenates what `container.decode(audio=0)` gives.
# What helps: place each frame by `frame.time`, and put silence where it jumps.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python >/dev/null
python/bin/pip install -q --disable-pip-version-check faster-whisper==1.2.1 av==18.1.0 2>/dev/null
cat >late.py <<'PY'
from fractions import Fraction

import av
import numpy
from faster_whisper import decode_audio

RATE, LATE, LONG = 48_000, 3, 2  # samples a second; seconds before the sound, and of it
with av.open("late.mp4", "w") as out:
    picture = out.add_stream("mpeg4", rate=5, width=32, height=32, pix_fmt="yuv420p")
    sound = out.add_stream("aac", rate=RATE, layout="mono")
    for _ in range(5 * (LATE + LONG)):
        out.mux(picture.encode(av.VideoFrame.from_ndarray(numpy.zeros((32, 32, 3), numpy.uint8), format="rgb24")))
    out.mux(picture.encode(None))
    tone = (0.5 * numpy.sin(numpy.arange(RATE * LONG) * 2 * numpy.pi * 440 / RATE)).astype(numpy.float32)
    for start in range(0, tone.size - 1023, 1024):
        frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), LATE * RATE + start
        out.mux(sound.encode(frame))
    out.mux(sound.encode(None))

with av.open("late.mp4") as container:
    first = next(container.decode(audio=0)).time
samples = decode_audio("late.mp4", sampling_rate=16_000)
begins = int(numpy.argmax(numpy.abs(samples) > 0.1)) / 16_000
print(f"expected  the tone begins at {LATE} s (its first frame says {first:.2f} s)")
print(f"seen      it begins at {begins:.2f} s of {samples.size / 16_000:.2f} s")
holds = begins < 0.5 and first > 2.5
print(f"holds: {'yes' if holds else 'no'} (times of what is said are {LATE} s early)")
raise SystemExit(not holds)
PY
echo "faster-whisper 1.2.1, PyAV 18.1.0"
timeout 60 python/bin/python late.py 2>/dev/null
