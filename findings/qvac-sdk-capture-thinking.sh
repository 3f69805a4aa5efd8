#!/usr/bin/env bash
# @qvac/sdk 0.16.0: `captureThinking: true` gives no thinkingDelta for models whose chat template opens the thinking itself.
#
# Templates of DeepSeek R1 (and its distills), QwQ, Qwen3-Thinking, GLM 4.7, Nemotron and others end the prompt with
# `<think>`, so that the model's own first words are its thinking, and it writes `</think>` only. The SDK's normalizer knows
# thinking by the opening tag in the output: all of it, with a bare `</think>`, arrives as contentDelta, and in
# `final.contentText`. The same words with the opening tag in the output are told apart.
# (Seen end to end, too: SDK provider, real GGUF whose template ends in `<think>`; this script needs no model.)
# Who is hurt: every consumer of such a model that shows contentDelta as the answer. What helps: treat what stands before the
# first `</think>` as thinking when no `<think>` came.
set -euo pipefail
SDK=0.16.0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private":true,"type":"module"}' >package.json
# Only the SDK's own files: its native engines (hundreds of MB) are not needed to turn text into events.
timeout 120 npm pack --silent "@qvac/sdk@$SDK" >/dev/null
mkdir -p node_modules/@qvac/sdk
tar xzf qvac-sdk-"$SDK".tgz -C node_modules/@qvac/sdk --strip-components 1
cat >ask.mjs <<'JS'
import { createCompletionNormalizer } from './node_modules/@qvac/sdk/dist/server/utils/completion-normalizer.js';

const read = (tokens) => {
  const normalizer = createCompletionNormalizer({
    captureThinking: true,
    emitRawDeltas: false,
    tools: [],
    capabilities: { toolCalling: 'none', thinkingFraming: 'thinkTags' },
  });
  const events = [...tokens.flatMap((token) => normalizer.push(token)), ...normalizer.finish({})];
  const text = (type) => events.filter((event) => event.type === type).map((event) => event.text).join('');
  return { thinking: text('thinkingDelta'), content: text('contentDelta') };
};
const words = ['2 + 2', ' is 4.', '\n</think>', '\n\n', 'Four.'];
const inOutput = read(['<think>', '\n', ...words]);
const inPrompt = read(words); // the prompt ended with "<think>\n"
console.log('expected  thinkingDelta "2 + 2 is 4.", contentDelta "Four." for both');
console.log('<think> in the output:', JSON.stringify(inOutput));
console.log('<think> in the prompt:', JSON.stringify(inPrompt));
const holds = inOutput.thinking.includes('2 + 2') && inPrompt.thinking === '' && inPrompt.content.includes('</think>');
console.log(`holds: ${holds ? 'yes' : 'no'} (thinking that the prompt opens is delivered as content)`);
process.exit(holds ? 0 : 1);
JS
echo "@qvac/sdk $SDK, node $(node --version)"
timeout 30 node ask.mjs
