#!/usr/bin/env bash
# @qvac/sdk 0.16.0: a tool call whose arguments break the tool's schema arrives as a good `toolCall`.
#
# There is a `toolError` with the code VALIDATION_ERROR, and tools are given with types and enums; but the only check is
# whether each name in `required` is there. A text where a number was asked for, a value outside the enum, a parameter that
# does not exist: all of it is delivered like a call that keeps to the schema. Nor does a grammar hold the model to it.
# Who is hurt: whoever runs `call.arguments` because no `toolError` came. What helps: check them by the schema before the
# tool runs (`handler` with zod does not do it either: its schema is only turned into the tool's description).
set -euo pipefail
SDK=0.16.0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private":true,"type":"module"}' >package.json
# Only the SDK's own files: its native engines are not needed to read a call out of a text.
timeout 120 npm pack --silent "@qvac/sdk@$SDK" >/dev/null
mkdir -p node_modules/@qvac/sdk
tar xzf qvac-sdk-"$SDK".tgz -C node_modules/@qvac/sdk --strip-components 1
cat >read.mjs <<'JS'
import { parseToolCalls } from './node_modules/@qvac/sdk/dist/server/utils/tools/parser.js';

const tool = {
  type: 'function',
  name: 'set_alarm',
  description: 'Sets an alarm.',
  parameters: {
    type: 'object',
    properties: { hour: { type: 'integer' }, tone: { type: 'string', enum: ['soft', 'loud'] } },
    required: ['hour'],
  },
};
const read = (args) => {
  const text = `<tool_call>\n${JSON.stringify({ name: 'set_alarm', arguments: args })}\n</tool_call>`;
  const { toolCalls, errors } = parseToolCalls(text, [tool], 'hermes');
  return toolCalls.length ? 'toolCall' : errors[0].code;
};
const cases = [
  ['hour missing', { tone: 'soft' }, 'VALIDATION_ERROR'],
  ['hour is a text', { hour: 'half past seven' }, 'VALIDATION_ERROR'],
  ['tone not in the enum', { hour: 7, tone: 'deafening' }, 'VALIDATION_ERROR'],
  ['all right', { hour: 7, tone: 'soft' }, 'toolCall'],
];
for (const [what, args, expected] of cases) console.log(`${what}: expected ${expected}, got ${read(args)}`);
const got = cases.map(([, args]) => read(args)).join(' ');
const holds = got === 'VALIDATION_ERROR toolCall toolCall toolCall';
console.log(`holds: ${holds ? 'yes' : 'no'} (only names in "required" are checked)`);
process.exit(holds ? 0 : 1);
JS
echo "@qvac/sdk $SDK, node $(node --version)"
timeout 30 node read.mjs
