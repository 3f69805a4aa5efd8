#!/usr/bin/env bash
# @qvac/sdk 0.16.0: a stop sequence of `modelConfig.stop_sequences` that contains a comma becomes two.
#
# The list is joined with ", " into the engine's `reverse_prompt`, which @qvac/llm-llamacpp documents as comma-separated; so a
# list of one sequence with a comma and a list of two cannot be told apart any more.
# (Seen end to end, too, with @qvac/llm-llamacpp 0.38.2 and SmolLM2: with the stop sequence " colour," the answer
# "1. Red: This is the most obvious colour, but …" ends at "… obvious colour": the part before the comma is enough. And
# what was the stop sequence is part of the answer's text. This script needs no model.)
# Who is hurt: whoever stops at ", ", "};" with a comma in it, or a phrase: answers end too early. What helps: stop
# sequences without commas, or stop by `cancel` when the text shows the phrase.
set -euo pipefail
SDK=0.16.0
ZOD=4.6.7 ERROR=0.1.1 RAG=0.6.4 # what the SDK's schemas import
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private":true,"type":"module"}' >package.json
# Only the SDK's own files, and what its schemas import: its native engines are not needed for this.
timeout 120 npm install --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps "zod@$ZOD" "@qvac/error@$ERROR" "@qvac/rag@$RAG"
timeout 120 npm pack --silent "@qvac/sdk@$SDK" >/dev/null
mkdir -p node_modules/@qvac/sdk
tar xzf qvac-sdk-"$SDK".tgz -C node_modules/@qvac/sdk --strip-components 1
cat >join.mjs <<'JS'
import { transformLlmConfig } from './node_modules/@qvac/sdk/dist/server/bare/plugins/llamacpp-completion/transform.js';

const given = (stop_sequences) => transformLlmConfig({ stop_sequences }).reverse_prompt;
const one = given(['Hello, world', 'END']);
const two = given(['Hello', 'world', 'END']);
console.log('expected  two different values for two different lists');
console.log("['Hello, world', 'END']   ->", JSON.stringify(one));
console.log("['Hello', 'world', 'END'] ->", JSON.stringify(two));
const same = one === two;
console.log(`holds: ${same ? 'a stop sequence with a comma cannot be told from two' : 'NO'}`);
process.exit(same ? 0 : 1);
JS
echo "@qvac/sdk $SDK, node $(node --version)"
timeout 60 node join.mjs
