"""Translation model files: what their names and headers say, and that nothing damaged reaches the engine."""

from __future__ import annotations

import struct
from pathlib import Path

import fxtranslate
import numpy as np
import pytest

from qvac_core.engines.firefox_translation import FirefoxTranslator
from qvac_core.engines.marian_file import is_marian, languages_of, read_marian
from qvac_core.engines.sentencepiece_file import Vocabulary, read_pieces
from qvac_core.errors import ModelError
from tests.marian_files import GERMAN, marian_file, marian_items, marian_model, sentencepiece_model, write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path, "en", "de", GERMAN)[0]


@pytest.mark.parametrize(
    ("name", "languages"),
    [
        ("model.deen.intgemm.alphas.bin", ("de", "en")),
        ("model.enes.intgemm.alphas.bin", ("en", "es")),
        ("model.hbsen.intgemm.alphas.bin", ("hbs", "en")),
        ("model.enzh_hant.intgemm.alphas.bin", ("en", "zh_hant")),
        ("model.frde.intgemm8.bin", ("fr", "de")),
        ("model.enen.intgemm.alphas.bin", None),
        ("model.qqen.intgemm.alphas.bin", None),
        ("deen.bin", None),
        ("ggml-tiny.bin", None),
    ],
)
def test_the_name_says_the_languages(name: str, languages: tuple[str, str] | None) -> None:
    assert languages_of(name) == languages


def test_a_whole_model_is_described(model: Path) -> None:
    assert is_marian(model)
    file = read_marian(model)
    assert (file.source, file.target, file.quantization, file.shortlist) == ("en", "de", "f32", None)
    assert [path.name for path in file.paths] == [model.name, "vocab.ende.spm"]
    shortlist = model.with_name("lex.50.50.ende.s2t.bin")
    pieces = [text for text, _ in read_pieces(file.vocabularies[0])]
    german = [number for number, piece in enumerate(pieces) if piece[1:] in GERMAN.values()]
    words = len(pieces)
    places = struct.pack(f"<{words + 1}Q", 0, *[len(german)] * words)  # those are the choice of the first piece
    listed = struct.pack(f"<{len(german)}I", *german)
    shortlist.write_bytes(struct.pack("<6Q", 1, 1, 8, 1, words + 1, len(german)) + places + listed)
    file = read_marian(model)
    assert file.shortlist == shortlist
    assert FirefoxTranslator(file).translate("the house is small.").text == "das Haus ist klein."


@pytest.mark.parametrize("cut", [10, 100, 4000, 200_000])
def test_a_file_that_was_cut_off_is_told(model: Path, cut: int) -> None:
    model.write_bytes(model.read_bytes()[:cut])
    with pytest.raises(ModelError, match=r"cut off|no translation model"):
        read_marian(model)


def test_what_is_missing_or_of_another_shape_is_told_before_the_engine_looks_for_it(model: Path) -> None:
    pieces = ["</s>", "<unk>", *(f"▁{word}" for word in GERMAN)]
    items = marian_items(pieces, {})
    for change in (
        {"decoder_l1_context_Wk": None},
        {"decoder_l1_rnn_W": np.zeros((256, 128), np.float32)},
        {"decoder_l1_ffn_b1": np.zeros((1, 8), np.float32)},
        {"special:model.yml": "dim-emb: 256\ntransformer-heads: 7\nenc-depth: 0\ndec-depth: 1\n"},
        {"special:model.yml": "dim-emb: 99999999999999999999\n"},
        {"special:model.yml": str(items["special:model.yml"]).replace("enc-depth: 0", "enc-depth: 64")},
    ):
        changed = {name: value for name, value in (items | change).items() if value is not None}
        model.write_bytes(marian_file(changed))
        with pytest.raises(ModelError, match="damaged"):
            read_marian(model)
    model.write_bytes(marian_file(items | {"special:model.yml": "type: s2s\n"}))
    with pytest.raises(ModelError, match="built in another way"):
        read_marian(model)


def test_a_header_that_promises_more_than_there_is_is_not_believed(model: Path) -> None:
    whole = model.read_bytes()
    for place in (8, 16, 24, 32, 40):  # of the first header: how many, and of what size
        for value in (0xFFFFFFFFFFFFFFFF, 1 << 40):
            model.write_bytes(whole[:place] + struct.pack("<Q", value) + whole[place + 8 :])
            with pytest.raises(ModelError):
                read_marian(model)


def test_a_vocabulary_that_is_missing_damaged_or_of_another_model_is_told(model: Path) -> None:
    vocabulary = model.with_name("vocab.ende.spm")
    whole = vocabulary.read_bytes()
    vocabulary.unlink()
    with pytest.raises(ModelError, match=r"Put vocab\.ende\.spm \(or srcvocab"):
        read_marian(model)
    for damaged in (b"", b"\xff" * 40, whole[:-3], b"\x0a\xff\xff\xff\xff\x7f", b"no protobuf at all"):
        vocabulary.write_bytes(damaged)
        with pytest.raises(ModelError, match="damaged, or no SentencePiece file"):
            read_marian(model)
    vocabulary.write_bytes(sentencepiece_model([f"▁{number}" for number in range(500)]))
    with pytest.raises(ModelError, match="belongs to another model"):
        read_marian(model)


@pytest.mark.parametrize(
    "shortlist",
    [
        b"short",
        struct.pack("<6Q", 1, 1, 1 << 30, 1, 0, 0),
        struct.pack("<6Q", 1, 1, 1, 1, 1 << 60, 0),
        struct.pack("<6Q", 1, 1, 1, 1, 2, 1) + struct.pack("<2QI", 5, 0, 0),
        struct.pack("<6Q", 1, 1, 1, 1, 2, 1) + struct.pack("<2QI", 0, 9, 0),
        struct.pack("<6Q", 1, 1, 1, 1, 2, 1) + struct.pack("<2QI", 0, 1, 1 << 31),
    ],
)
def test_a_shortlist_whose_numbers_lead_nowhere_is_told(model: Path, shortlist: bytes) -> None:
    model.with_name("lex.50.50.ende.s2t.bin").write_bytes(shortlist)
    with pytest.raises(ModelError, match="damaged, or of another model"):
        read_marian(model)


def test_tokens_are_counted_about(model: Path) -> None:
    vocabulary = Vocabulary(read_pieces(model.with_name("vocab.ende.spm")))
    assert vocabulary.count("the house is small.") == 5
    assert vocabulary.count("\U0001f600") == 7  # a piece of no vocabulary: its bytes, and those of the space before


def test_characters_that_no_piece_has_come_back_as_they_were(tmp_path: Path) -> None:
    """The engine gives the names of their bytes as text."""
    pieces = ["▁the", "▁das", "▁", *(f"<0x{byte:02X}>" for byte in "\U0001f600".encode())]
    model = tmp_path / "model.ende.intgemm.alphas.bin"
    model.write_bytes(marian_model(pieces, {"▁the": "▁das"}))
    model.with_name("vocab.ende.spm").write_bytes(sentencepiece_model(pieces))
    file = read_marian(model)
    translator = FirefoxTranslator(file)
    own = fxtranslate.Translator(model.read_bytes(), *[path.read_bytes() for path in file.vocabularies])
    assert own.translate("the \U0001f600") == "das <0xF0><0x9F><0x98><0x80>", "it does so no more"
    assert translator.translate("the \U0001f600").text == "das \U0001f600"
