"""xllamacpp's own server with one model, until its standard input ends. Prints its address.

`python xllamacpp_server.py MODEL [OPTION=VALUE…]`; options: port, n_ctx, slots, alias, key, embedding.
"""

from __future__ import annotations

import sys

import xllamacpp


def main() -> None:
    model, *given = sys.argv[1:]
    options = dict(option.split("=", 1) for option in given)
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_parallel = int(options.get("slots", "2"))
    params.n_ctx = int(options.get("n_ctx", "512")) * params.n_parallel
    params.n_batch = params.n_ubatch = 256
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_gpu_layers = 0
    params.warmup = False
    params.port = int(options.get("port", "0"))
    if "key" in options:
        params.api_keys = [options["key"]]
    if "alias" in options:
        params.model_alias = [options["alias"]]
    if "embedding" in options:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
