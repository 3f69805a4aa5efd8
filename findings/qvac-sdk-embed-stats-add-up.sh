#!/usr/bin/env bash
# @qvac/sdk 0.16.0, embeddings: `stats` of an embed() are sums over all calls since the model was loaded, and a call's time
# shows only in the next call's statistics.
#
# Expected: `totalTokens` and `totalTime` of one call ("Total tokens processed", "Total embedding time in milliseconds").
# What happens: totalTokens grows from call to call by what each call had; totalTime of the first call is next to nothing, and
# that of the second holds the first one's; tokensPerSecond is a quotient of the two, in the hundred thousands for the first call.
# Who is hurt: whoever counts tokens for a quota or a bill, or shows a speed: the same text costs more each time.
# What helps: take the difference of totalTokens between two calls, and measure the time yourself.
# Seen with a tiny random BERT, on the CPU; the same with all-MiniLM-L6-v2.
set -euo pipefail
SDK=0.16.0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python >/dev/null
python/bin/pip install -q --disable-pip-version-check gguf==0.19.0 numpy==2.4.0 2>/dev/null
cat >model.py <<'PY'
import gguf, numpy

words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "\u2581the", "\u2581sea", "\u2581is", "\u2581blue", "\u2581and", "\u2581wide"]
width, deep, room = 32, 64, 512
noise = numpy.random.default_rng(1)
writer = gguf.GGUFWriter("tiny.gguf", "bert")
writer.add_name("tiny")
writer.add_file_type(0)
writer.add_vocab_size(len(words))
writer.add_block_count(1)
writer.add_context_length(room)
writer.add_embedding_length(width)
writer.add_feed_forward_length(deep)
writer.add_head_count(2)
writer.add_layer_norm_eps(1e-12)
writer.add_causal_attention(False)
writer.add_pooling_type(gguf.PoolingType.MEAN)
writer.add_token_type_count(2)
writer.add_tokenizer_model("bert")
writer.add_tokenizer_pre("jina-v2-en")
writer.add_token_list(words)
writer.add_token_types([3, 2, 3, 3, 3] + [1] * (len(words) - 5))
writer.add_bos_token_id(2)
writer.add_eos_token_id(3)
writer.add_unk_token_id(1)
writer.add_sep_token_id(3)
writer.add_pad_token_id(0)
writer.add_mask_token_id(4)
shapes = {"token_embd": (len(words), width), "position_embd": (room, width), "token_types": (2, width)}
shapes |= {f"blk.0.{name}": (width, width) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
shapes |= {"blk.0.ffn_up": (deep, width), "blk.0.ffn_down": (width, deep)}
for name, shape in shapes.items():
    writer.add_tensor(f"{name}.weight", noise.normal(0, 0.1, shape).astype(numpy.float32))
    if name.startswith("blk"):
        writer.add_tensor(f"{name}.bias", numpy.zeros(shape[0], numpy.float32))
for name in ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"):
    writer.add_tensor(f"{name}.weight", numpy.ones(width, numpy.float32))
    writer.add_tensor(f"{name}.bias", numpy.zeros(width, numpy.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
PY
python/bin/python model.py
# The other engines (gigabytes) are left out by an empty package in their place.
mkdir empty
printf '{"name":"empty","version":"0.0.0","main":"index.js"}' >empty/package.json
echo 'module.exports = {}' >empty/index.js
node -e '
const stubs = ["@qvac/bci-whispercpp", "@qvac/classification-ggml", "@qvac/diffusion-cpp", "@qvac/llm-llamacpp", "@qvac/ocr-ggml",
  "@qvac/transcription-parakeet", "@qvac/transcription-whispercpp", "@qvac/translation-nmtcpp", "@qvac/tts-ggml",
  "@qvac/vla-ggml", "bare-ffmpeg"];
const empty = Object.fromEntries(stubs.map((name) => [name, "file:./empty"]));
const overrides = { ...Object.fromEntries(stubs.map((name) => [name, "$" + name])), "bare-type": "1.1.1", "hypercore-storage": "3.3.1" };
const dependencies = { "@qvac/sdk": "'"$SDK"'", "@qvac/embed-llamacpp": "0.28.0", ...empty };
require("fs").writeFileSync("package.json", JSON.stringify({ private: true, type: "module", dependencies, overrides }));
'
timeout 300 npm install --silent --no-save --ignore-scripts --no-audit --no-fund --legacy-peer-deps >/dev/null
cat >worker.mjs <<'JS'
import { initializeWorkerCore, ensureRPCSetup } from '@qvac/sdk/worker-core'
import { registerPlugins } from '@qvac/sdk/plugins'
import { embeddingsPlugin } from '@qvac/sdk/llamacpp-embedding/plugin'

const { hasRPCConfig } = initializeWorkerCore()
registerPlugins([embeddingsPlugin])
if (hasRPCConfig) ensureRPCSetup()
JS
cat >ask.mjs <<'JS'
import path from 'node:path'
import { close, embed, loadModel } from '@qvac/sdk'

const modelId = await loadModel({
  modelSrc: path.resolve('tiny.gguf'), modelType: 'embeddings', modelConfig: { device: 'cpu', gpuLayers: 0 }
})
const stats = []
for (let call = 0; call < 3; call++) stats.push((await embed({ modelId, text: 'the sea is blue' })).stats)
console.log('expected  totalTokens 6, 6, 6')
console.log('seen     ', stats.map((one) => JSON.stringify(one)).join('\n          '))
const tokens = stats.map((one) => one.totalTokens)
const adds = tokens[1] === 2 * tokens[0] && tokens[2] === 3 * tokens[0]
const late = stats[0].totalTime < stats[1].totalTime / 10
console.log(`holds: ${adds && late ? 'yes' : 'no'} (statistics of an embed are sums since the load, the time one call late)`)
await close()
process.exit(adds && late ? 0 : 1)
JS
echo "@qvac/sdk $SDK, @qvac/embed-llamacpp $(node -p 'require("./node_modules/@qvac/embed-llamacpp/package.json").version'), node $(node --version)"
HOME="$folder" QVAC_WORKER_PATH="$folder/worker.mjs" timeout 120 node ask.mjs
