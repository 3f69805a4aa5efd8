#!/usr/bin/env bash
# hyperdht 6.34.0, mutablePut: it resolves as if all were well when every node refused the value.
#
# Expected: nodes refuse a sequence number that is lower than the stored one, or the same one with another value (SEQ_TOO_LOW,
# SEQ_REUSED). mutablePut then rejects, as it does when no node can be reached, or says how many stored it.
# What happens: it resolves with `seq`, `signature` and the nodes asked. The value is stored nowhere; what is read is the old one.
# Who is hurt: whoever leaves `seq` out, whose default is 0: the second put of a record looks as good as the first and is lost.
# What helps: read the record back with mutableGet and compare, or keep count of `seq` outside.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm i --no-audit --no-fund --loglevel=error hyperdht@6.34.0 >/dev/null
cat >put.js <<'JS'
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')

async function main() {
  const testnet = await createTestnet(4)
  const node = new DHT({ bootstrap: testnet.bootstrap, host: '127.0.0.1' })
  const keyPair = DHT.keyPair()
  await node.mutablePut(keyPair, Buffer.from('first'))
  let said
  try {
    const { seq, closestNodes } = await node.mutablePut(keyPair, Buffer.from('second'))
    said = `it resolved: seq ${seq}, ${closestNodes.length} nodes`
  } catch (error) {
    said = `it rejected: ${error.code}`
  }
  const { value } = await node.mutableGet(keyPair.publicKey)
  console.log('expected  it rejected: SEQ_REUSED, or the value is the second')
  console.log(`seen      ${said}; what is read is the ${value}`)
  const holds = said.startsWith('it resolved') && value.toString() === 'first'
  console.log(`holds: ${holds ? 'yes' : 'no'}`)
  await node.destroy()
  await testnet.destroy()
  process.exit(holds ? 0 : 1)
}
main()
JS
timeout 60 node put.js
