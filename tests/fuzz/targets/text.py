"""Targets: what people type, paste or scan, and what a model writes for the screen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

from app.widgets.chat.markdown import BlockKind, GrowingText, clean, open_fence, parse, question_blocks, settled
from qvac_core.codec.key_text import parse_public_key, parse_seed, short_key
from qvac_core.delegation.lines import LineSplitter
from qvac_core.engines.thinking import CLOSE_TAG, Mark, ThinkingReader
from qvac_core.errors import IdentityError, ModelError, RemoteProtocolError
from qvac_core.models.source import HUGGING_FACE, canonical_source, parse_source
from qvac_core.rendezvous.addresses import (
    decode_key,
    encode_key_address,
    first_public_address,
    is_dialable,
    is_private,
    is_reserved,
    match_address,
)
from tests.fuzz.known_answers import samples, vectors
from tests.fuzz.script import Script, chunk
from tests.fuzz.target import Target


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def key_text(data: bytes) -> None:
    """A key as text or bytes, from a QR code or the clipboard: 32 bytes or a sentence."""
    text = _text(data)
    with suppress(IdentityError):
        key = parse_public_key(text)
        assert len(key) == 32
        assert parse_public_key(key.hex()) == key
        assert parse_public_key(f" QVAC://{key.hex().upper()}/ ") == key
        short_key(key.hex())
    with suppress(IdentityError):
        assert len(parse_seed(text)) == 32
    for form in (text, data):
        with suppress(IdentityError):
            key, nodes = decode_key(form)
            assert len(key) == 32
            assert decode_key(encode_key_address(key, nodes)) == (key, nodes)


def addresses(data: bytes) -> None:
    """Hosts of any text: judged, never an exception."""
    script = Script(data)
    listed = [(_text(script.chunk()), script.uint16()) for _ in range(script.byte() % 6)]
    for host, _ in listed:
        assert not (is_private(host) and is_reserved(host))
    half = len(listed) // 2
    chosen = match_address(listed[:half], listed[half:])
    assert chosen is None or chosen in listed[half:]
    first = first_public_address(listed, ("9.9.9.9", 9))
    assert first == ("9.9.9.9", 9) or (is_dialable(first) and not is_private(first[0]))


def model_source(data: bytes) -> None:
    """`modelSrc` comes from strangers: an address, or a sentence."""
    text = _text(data)
    one = canonical_source(text)
    assert canonical_source(one) == one
    with suppress(ModelError):
        source = parse_source(text)
        assert source.file_name not in ("", ".", "..")
        assert source.url().startswith("https://")
        assert parse_source(str(source)) == source
        with suppress(ModelError):
            if source.url() != str(source):
                assert parse_source(source.url(HUGGING_FACE)) == source


def markdown(data: bytes) -> None:
    """A text that grows by pieces ends as the same blocks as in one go; no markup of its own gets through."""
    script = Script(data)
    cuts = [script.uint16() for _ in range(script.byte() % 5)]
    text = _text(script.rest())
    whole = parse(text)
    growing = GrowingText()
    for cut in sorted(cut % (len(text) + 1) for cut in cuts):
        shown = settled(clean(text[:cut]))
        assert clean(text[:cut]).startswith(shown)
        growing.update(shown)
    assert growing.update(text) == whole
    open_fence(text)
    for html in (block.html for block in (*question_blocks(text), *whole)):
        lower = html.lower()
        assert "<script" not in lower and "<img" not in lower and "javascript:" not in _attributes(lower)
        assert len(html) <= 200 + 60 * len(text)
    assert all(block.kind is not BlockKind.CODE or not block.html for block in whole)


def _attributes(html: str) -> str:
    """What stands inside of tags."""
    return "".join(part.split(">", 1)[0] for part in html.split("<")[1:])


def answer_text(data: bytes) -> None:
    """Lines and reasoning tags come out the same however the stream is cut."""
    script = Script(data)
    cuts = sorted(script.uint16() for _ in range(script.byte() % 5))
    body = script.rest()
    edges = [0, *(min(cut, len(body)) for cut in cuts), len(body)]
    chunks = [body[start:end] for start, end in pairwise(edges)]
    splitter, at_once = LineSplitter(64), LineSplitter(64)
    with suppress(RemoteProtocolError):
        lines = [line for chunk in chunks for line in splitter.feed(chunk)]
        assert all(line.strip() and b"\n" not in line and len(line) <= 64 for line in lines)
        assert at_once.feed(body) == lines
    text = body.decode("latin-1")
    pieces = _split([chunk.decode("latin-1") for chunk in chunks])
    assert pieces == _split([text])
    assert sum(len(piece) for piece, _ in pieces) <= len(text)
    assert not any(mark in piece for piece, _ in pieces for mark in Mark)
    assert all(CLOSE_TAG not in piece for piece, thinking in pieces if thinking)


def _split(chunks: list[str]) -> list[tuple[str, bool]]:
    splitter = ThinkingReader()
    found = [piece for chunk in chunks for piece in splitter.feed(chunk)] + splitter.end()
    joined: list[tuple[str, bool]] = []
    for piece in found:
        if joined and joined[-1][1] == piece.thinking:
            joined[-1] = (joined[-1][0] + piece.text, piece.thinking)
        else:
            joined.append((piece.text, piece.thinking))
    return joined


def _key_seeds() -> Iterator[bytes]:
    for case in vectors()["address"]:
        yield bytes.fromhex(case["hex"])
        yield case["hex"].encode()
    key = vectors()["keypairs"][0]["publicKey"]
    yield from (key.encode(), f"qvac://{key}/".encode(), " ".join(key[i : i + 4] for i in range(0, 64, 4)).encode())
    yield b"rjuc3dtbqq5ryh6xik4u7jg4uc6gqwfnyfp1kj3pkqbye16s3ooy"


def _address_seeds() -> Iterator[bytes]:
    hosts = ("1.2.3.4", "10.1.2.3", "198.51.100.7", "192.168.1.2", "100.64.0.1", "1.2.3.²", "::1", "224.0.0.1")
    for first, second in zip(hosts, hosts[1:] + hosts[:1], strict=True):
        yield b"\x02" + b"".join(chunk(host.encode()) + b"\x01\x00" for host in (first, second))


def _source_seeds() -> Iterator[bytes]:
    yield b"registry://hf/owner/repo/resolve/main/folder/model.gguf"
    yield b"https://huggingface.co/owner/repo/blob/main/model.gguf"
    yield b"https://example.org/a%20b/model.gguf?download=true"
    yield b"https://[::1]:80/x.gguf"
    yield from (b"pear://x/y.gguf", b"http://a/b", b"registry://s3/a/b", b"model.gguf")


_MARKDOWN = """# Title

One *two* **three** `four` [five](https://example.org "t") ![six](http://a/b.png)

> quote

1. a
   - b

| a | b |
|---|---|
| 1 | 2 |

```python
print(1)
```

***

~~gone~~ <script>alert(1)</script> [x]: javascript:alert(1)

[ref]

[ref]: https://example.org
"""


def _markdown_seeds() -> Iterator[bytes]:
    for start in range(0, len(_MARKDOWN), 60):
        yield bytes([2, start % 256, 0, 20, 0]) + _MARKDOWN[start : start + 120].encode()
    yield bytes([0]) + _MARKDOWN.encode()


def _answer_seeds() -> Iterator[bytes]:
    yield bytes([2, 3, 0, 20, 0]) + b'{"type":"keepalive"}\n\n{"type":"queue","place":1}\n'
    yield bytes([3, 3, 0, 9, 0, 12, 0]) + b"a<think>b</think>c<thi<think></thinn"
    for sample in samples()[:3]:
        yield bytes([1, 9, 0]) + str(sample.get("json")).encode()


TARGETS = [
    Target("key_text", key_text, ("qvac_core.codec.key_text", "qvac_core.rendezvous.addresses"), _key_seeds, 256),
    Target("addresses", addresses, ("qvac_core.rendezvous.addresses",), _address_seeds, 256),
    Target("model_source", model_source, ("qvac_core.models.source",), _source_seeds, 256),
    Target("markdown", markdown, ("app.widgets.chat.markdown",), _markdown_seeds, 2048, 0.3),
    Target(
        "answer_text",
        answer_text,
        ("qvac_core.delegation.lines", "qvac_core.engines.thinking"),
        _answer_seeds,
        512,
    ),
]
