"""A real PulseAudio of the test's own: one microphone, which hears what the test plays, and what happens to servers."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_LIMIT = 10.0
SCRIPT = """load-module module-native-protocol-unix auth-anonymous=1 socket={socket}
load-module module-null-sink sink_name=room
load-module module-remap-source source_name=mic master=room.monitor remix=no
set-default-source mic
"""
SILENT_SCRIPT = SCRIPT.splitlines()[0] + "\nload-module module-null-sink sink_name=room\n"


class SoundServer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "native"
        self.address = f"unix:{self._socket}"
        self._environment = os.environ | {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_SERVER": self.address,
            "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._players: list[subprocess.Popen[bytes]] = []

    def start(self, script: str = SCRIPT) -> None:
        found = shutil.which("pulseaudio")
        assert found, "the tests of the microphone need PulseAudio: apt-get install pulseaudio pulseaudio-utils"
        self._socket.unlink(missing_ok=True)
        wiring = self._folder / "wiring.pa"
        wiring.write_text(script.format(socket=self._socket))
        options = ["-n", "-F", str(wiring), "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes"]
        self._process = subprocess.Popen(
            [found, *options, "--use-pid-file=no", "--log-level=error"],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + START_LIMIT
        while self.pactl("info", check=False).returncode:
            assert time.monotonic() < end, "PulseAudio did not start"
            time.sleep(0.02)

    def pactl(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["pactl", *words], env=self._environment, capture_output=True, text=True, check=check)

    def play(self, samples: Path, sink: str = "room") -> None:
        """Raw 16 kHz mono 32-bit floats. In small blocks: the usual ones are 2 s long."""
        form = ["--rate=16000", "--channels=1", "--format=float32le", "--latency-msec=20", "--raw"]
        self._players.append(
            subprocess.Popen(["pacat", "--playback", f"--device={sink}", *form, str(samples)], env=self._environment)
        )

    def mute(self, muted: bool) -> None:
        self.pactl("set-source-mute", "mic", "1" if muted else "0")

    def unplug(self) -> None:
        listed = self.pactl("list", "short", "modules").stdout.splitlines()
        (number,) = (line.split()[0] for line in listed if "source_name=mic " in line)
        self.pactl("unload-module", number)

    def plug_in_another(self) -> None:
        """Another microphone in the same room, which becomes the default."""
        self.pactl("load-module", "module-remap-source", "source_name=headset", "master=room.monitor", "remix=no")
        self.pactl("set-default-source", "headset")

    def die(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        for player in self._players:
            player.kill()
            player.wait()
        self.die()


@contextmanager
def sound_server(folder: Path) -> Iterator[SoundServer]:
    server = SoundServer(folder)
    try:
        yield server
    finally:
        server.close()
