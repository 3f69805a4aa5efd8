"""The README's commands, as they are written, on machines that are new: an empty home each, no screen, a bare PATH."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qvac_core.models import DEFAULT_SMALL_MODEL
from tests.e2e.program import LIMIT, Program, is_to_the_point
from tests.pictures import shades
from tests.sound_files import encode
from tests.speech_files import english_model, kennedy_wav, samples_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SETUP_LIMIT = 1800.0  # seconds; the engine may have to be compiled

RUN_HERE = {
    "git clone <this repository> qvac-desktop && cd qvac-desktop",
    "python3 bootstrap.py run",
    "python3 bootstrap.py command",
    "qvac-desktop provider --model path/to/model.gguf --allow KEY_OF_YOUR_FRIEND",
    'qvac-desktop chat PROVIDER_KEY --prompt "Why is the sky blue?"',
    "qvac-desktop chat PROVIDER_KEY",
    "qvac-desktop chat PROVIDER_KEY --fallback --local-model NAME",
    'qvac-desktop chat PROVIDER_KEY --picture photo.jpg --prompt "What is this?"',
    "qvac-desktop transcribe talk.m4a PROVIDER_KEY --format srt",
}
RUN_BY_HAND = {  # they compile for minutes, or fetch a model from Hugging Face; what they do is tested in parts
    "qvac-desktop transcribe talk.m4a --model WHISPER_TINY",
    "python3 bootstrap.py engine",
    "python3 bootstrap.py engine --cuda",
}
RUN_BY_CI = {"python3 bootstrap.py test", "python3 bootstrap.py test tests/unit"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_no_command_of_the_readme_is_left_out() -> None:
    lines = {re.sub(r"\s+#.*", "", line) for block in blocks("sh") for line in block.splitlines()}
    assert lines == RUN_HERE | RUN_BY_CI | RUN_BY_HAND


# What a script does first that is not to meet the public network.
NETWORK = """
from qvac_core import configure
from qvac_core.core import CoreConfig
configure(CoreConfig(bootstrap=(({host!r}, {port}),)))
"""


class Machine:
    """A person's home on a machine that knows Python and git, and nothing of ours."""

    def __init__(self, folder: Path, small_model: Path) -> None:
        self.home = folder
        # The small model is there already: downloading it is what other tests do.
        models = folder / ".local" / "share" / "qvac-desktop" / "models"
        models.mkdir(parents=True)
        (models / DEFAULT_SMALL_MODEL.file).symlink_to(small_model)
        kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name == "LANG"}
        self.environment = {
            **kept,
            "HOME": str(folder),
            "PATH": f"{folder}/.local/bin:{Path(sys.base_prefix) / 'bin'}:{os.defpath}",
        }

    def start(self, line: str) -> Program:
        return Program(["bash", "-c", f"exec env -i {self._environment()} bash -c 'exec '{_quoted(line)}"])

    def run(self, line: str, *, cwd: Path = ROOT, stdin: str = "", limit: float = LIMIT) -> tuple[str, str]:
        """Output and errors of a line that succeeds."""
        result = subprocess.run(
            ["bash", "-c", line],
            cwd=cwd,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        assert result.returncode == 0, (line, result.stdout, result.stderr)
        return result.stdout, result.stderr

    def _environment(self) -> str:
        return " ".join(_quoted(f"{name}={value}") for name, value in self.environment.items())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def check_demo(machine: Machine, clone: Path, limit: float) -> None:
    """`python3 bootstrap.py run` without a screen."""
    answer, words = machine.run("python3 bootstrap.py run", cwd=clone, limit=limit)
    assert is_to_the_point(answer)
    assert "WARNING" not in words
    assert re.search(r"The engine that answered: (xllamacpp|llama-cpp-python) \d\S+, on the [CG]PU\.", words)
    following = words[words.index("With two:") :]
    (provider_line,) = re.findall(r"python3 bootstrap.py run provider --model \S+ --knock", following)
    assert "python3 bootstrap.py run chat KEY" in following
    assert DEFAULT_SMALL_MODEL.name in provider_line


def test_the_commands_of_a_person(
    bootstrap: str, small_model_path: Path, seeing_model_path: Path, tmp_path: Path
) -> None:
    owner, friend = Machine(tmp_path / "owner", small_model_path), Machine(tmp_path / "friend", small_model_path)
    check_demo(owner, ROOT, LIMIT)
    for machine in (owner, friend):
        said = machine.run("python3 bootstrap.py command")[1]
        assert f"qvac-desktop is in {machine.home}/.local/bin." in said
        assert "does not look there" not in said
    friends_key = friend.run("qvac-desktop public-key")[0].strip()
    provider_line = "qvac-desktop provider --model path/to/model.gguf --allow KEY_OF_YOUR_FRIEND"
    provider_line = provider_line.replace("path/to/model.gguf", str(small_model_path))
    provider_line = provider_line.replace("KEY_OF_YOUR_FRIEND", friends_key)
    provider_line += f" --model {english_model()}"
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(shades("JPEG"))
    seeing = f"--model {_quoted(str(seeing_model_path))}"  # whatever a model of this size says of it
    with owner.start(f"{provider_line} {seeing} --bootstrap {bootstrap}") as provider:
        key = ""
        while not key:
            key = next(iter(re.findall("[0-9a-f]{64}", provider.until("text")["text"])), "")
        for line, stdin in (
            ('qvac-desktop chat PROVIDER_KEY --prompt "Why is the sky blue?"', ""),
            ("qvac-desktop chat PROVIDER_KEY", "What is the capital of France?\n\n"),
            ("qvac-desktop chat PROVIDER_KEY --fallback --local-model NAME", "What is the capital of France?\n\n"),
            ('qvac-desktop chat PROVIDER_KEY --picture photo.jpg --prompt "What is this?"', ""),
        ):
            if "photo.jpg" in line:
                line = line.replace("photo.jpg", _quoted(str(photo))) + f" --model {seeing_model_path.name}"
            line = line.replace("PROVIDER_KEY", key).replace("NAME", DEFAULT_SMALL_MODEL.name)
            answer, words = friend.run(f"{line} --bootstrap {bootstrap} --temp 0 --predict 24", stdin=stdin)
            assert answer.strip()
            assert "delegated" in words
        (tmp_path / "talk.m4a").write_bytes(encode("m4a", samples_of(kennedy_wav())))
        line = "qvac-desktop transcribe talk.m4a PROVIDER_KEY --format srt".replace("PROVIDER_KEY", key)
        subtitles, _ = friend.run(f"{line} --bootstrap {bootstrap}", cwd=tmp_path)
        assert subtitles.startswith("1\n00:00:0") and "ask not what your country" in subtitles
        host, _, port = bootstrap.rpartition(":")
        (tmp_path / "network.py").write_text(NETWORK.format(host=host, port=port))
        for number, script in enumerate(blocks("python")[:2]):
            assert {"…64 hex digits…", "LLAMA_3_2_1B_INST_Q4_0"} <= set(re.findall(r"…64 hex digits…|LLAMA\w+", script))
            script = script.replace("…64 hex digits…", key).replace("LLAMA_3_2_1B_INST_Q4_0", DEFAULT_SMALL_MODEL.name)
            path = tmp_path / f"script{number}.py"
            path.write_text(f"import network\n{script}")
            assert friend.run(f"{_quoted(sys.executable)} {path}")[0].strip()


def test_the_command_says_what_to_do_where_the_shell_does_not_look(small_model_path: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "home", small_model_path)
    machine.environment["PATH"] = machine.environment["PATH"].partition(":")[2]
    advice, said = machine.run("python3 bootstrap.py command")
    assert "does not look there yet" in said
    assert machine.run(f"{advice.strip()}; qvac-desktop --help")[0].startswith("usage: qvac-desktop")
    (machine.home / ".local" / "bin" / "qvac-desktop").unlink()
    (machine.home / ".local" / "bin" / "qvac-desktop").write_text("mine")
    with pytest.raises(AssertionError, match=r"There is a file .* already"):
        machine.run("python3 bootstrap.py command")


@pytest.mark.long
@pytest.mark.timeout(SETUP_LIMIT)
def test_the_first_two_commands_in_a_clone_of_its_own(small_model_path: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "home", small_model_path)
    line = "git clone <this repository> qvac-desktop && cd qvac-desktop".replace("<this repository>", str(ROOT))
    machine.run(line, cwd=tmp_path)
    check_demo(machine, tmp_path / "qvac-desktop", SETUP_LIMIT)
