"""`python -m tests.bench.perplexity MODEL`: what a quantized cache costs in quality and speed, and what it saves.

Perplexity of a text of our own, read in pieces of 128 tokens so that most of its keys and values come out of the cache;
then the speed of single tokens behind it. Types in turn, several rounds.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import Any

import numpy
import psutil
from llama_cpp import llama_cpp as llama

N_CTX = 16384  # cells, so that their size is seen
PIECE, SINGLES, ROUNDS = 128, 24, 3
TYPES = {"f16": 1, "q8_0": 8, "q4_0": 2}  # ggml_type
TEXT = """
The harbour of Lenwick lies behind a long wall of stone which the town built twice. The first wall was finished in the
autumn before the great storm, and by the spring nothing of it was left but a row of dark blocks that show themselves at
low water. The second took eleven years. Its builders had learned to let the sea in through a hundred openings, each no
wider than a door, so that a wave that arrives with all its weight leaves most of it among the pillars and reaches the
boats as little more than a nod. People who come here for the first time walk out to the end of it in the evening, lean
over the rail and listen, because the openings do not all sound alike. Children say that they can tell the hour from it.

On the inner side there are four stairs. The westernmost belongs to the pilots, who keep two grey boats there and a dog
that nobody has ever seen asleep. Next to them the fishermen unload, from three in the morning until the lorries have
gone, and then they wash the steps with sea water and go home to breakfast while other people are getting up. The third
stair has been closed since the accident with the ferry. Grass grows on it now, and a wooden board explains in two
languages that it will be repaired next year. The board is nine years old. The last stair is used by everybody else: by
the doctor who visits the islands on Tuesdays, by the postman, by couples who have rented a boat for an afternoon and
have to be told which end of it is the front.

Anna Holt had worked in the harbour office for so long that she knew the boats by the noise of their engines. She sat at
a desk below the window with her back to the water, and without turning round she wrote down who came and who went, the
hour and the weather. When a young colleague asked her why she did not look, she answered that looking made her slow. In
the summer of the year in which this story begins she heard an engine that she did not know. It was a diesel, not large,
well kept, with a small hesitation after every fourth beat, as if it remembered something. She put down her pen and went
to the window. The boat was blue. It carried no flag, no number and no name, and the man at the wheel was steering with
one hand, because with the other he was holding a cello.

He made fast at the third stair, the closed one. Nobody had ever told him that it was closed, he explained later, and if
the board had wanted to say so, it ought to have been shorter. He carried the instrument up through the grass as one
carries a sleeping child, came into the office, wished everyone a good morning and asked what it would cost to stay for
a winter. Anna told him the price. He thought about it, and then he asked whether the price included the wall. She said
that nobody had ever asked for the wall. That, he said, was what he had hoped, for he would need it only at night, when
the wind stood in the north, and he would be careful with it.

So it came about that the people of Lenwick heard music that winter without knowing at first where it came from. It was
not loud. It began with the low notes that the sea makes in the widest openings, and one could not have said at which
moment another voice had joined them. Some took it for the wind. The pilots, who believed in very little, said that it
was the dog. Only Anna, who listened with her back to the water, knew from the first evening that somebody was sitting
out there on a folding chair, tuning four strings to a harbour, and that he was never quite content with the result. In
her book, between the trawlers and the ferry, she entered him every night: arrived, cello, one; and every morning, when
the engine with the small hesitation had gone quiet at the third stair: departed, cello, one, no damage to the wall.
"""


def context(model: Any, kind: int) -> Any:
    params = llama.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = N_CTX, PIECE, PIECE
    params.n_threads = params.n_threads_batch = 1
    params.type_k = params.type_v = kind
    return llama.llama_init_from_model(model, params)


def losses(running: Any, tokens: list[int], vocabulary: int) -> list[float]:
    """The negative log-likelihood of every token after the first."""
    found: list[float] = []
    batch = llama.llama_batch_init(PIECE, 0, 1)
    for start in range(0, len(tokens) - 1, PIECE):
        piece = tokens[start : start + PIECE]
        batch.n_tokens = len(piece)
        for index, token in enumerate(piece):
            batch.token[index], batch.pos[index] = token, start + index
            batch.n_seq_id[index], batch.seq_id[index][0], batch.logits[index] = 1, 0, 1
        assert llama.llama_decode(running, batch) == 0
        for index in range(min(len(piece), len(tokens) - 1 - start)):
            row = numpy.ctypeslib.as_array(llama.llama_get_logits_ith(running, index), (vocabulary,))
            top = float(row.max())
            total = top + float(numpy.log(numpy.exp(row - top).sum()))
            found.append(total - float(row[tokens[start + index + 1]]))
    llama.llama_batch_free(batch)
    return found


def token_seconds(running: Any, token: int) -> float:
    one = (llama.llama_token * 1)(token)
    times = []
    for _ in range(SINGLES):
        started = time.perf_counter()
        llama.llama_decode(running, llama.llama_batch_get_one(one, 1))
        times.append(time.perf_counter() - started)
    return median(times)


def main(path: str) -> None:
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    vocab = llama.llama_model_get_vocab(model)
    data = TEXT.strip().replace("\n", " ").encode()
    space = (llama.llama_token * len(data))()
    tokens = list(space[: llama.llama_tokenize(vocab, data, len(data), space, len(space), True, False)])
    perplexity: dict[str, float] = {}
    megabytes: dict[str, float] = {}
    seconds: dict[str, list[float]] = {name: [] for name in TYPES}
    for _ in range(ROUNDS):
        for name, kind in TYPES.items():
            before = psutil.Process().memory_info().rss
            running = context(model, kind)
            assert running is not None
            megabytes[name] = (psutil.Process().memory_info().rss - before) / 1e6
            mean = float(numpy.mean(losses(running, tokens, llama.llama_vocab_n_tokens(vocab))))
            perplexity[name] = float(numpy.exp(mean))
            seconds[name].append(token_seconds(running, tokens[-1]))
            llama.llama_free(running)
    print(f"{len(tokens)} tokens of text, {N_CTX} cells, {ROUNDS} rounds\n")
    print("| cache | perplexity | against f16 | MB | seconds a token, against f16 |")
    print("|---|--:|--:|--:|--:|")
    for name in TYPES:
        slower = median(seconds[name]) / median(seconds["f16"])
        share = perplexity[name] / perplexity["f16"]
        print(f"| {name} | {perplexity[name]:.3f} | {share:.4f} | {megabytes[name]:.0f} | {slower:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
