#!/usr/bin/env bash
# hyperswarm 4.17.2, join(topic, { limit }): each new look for peers lets as many in again; a limit of 1 becomes 3 connections.
#
# Expected: "limit: Set the max number of peers to connect to when joining the topic" (README). With limit 1 there is one connection,
# also after the look that the swarm repeats every ten minutes.
# What happens: before a look the connected peers are to be taken off the limit, but they are looked up by key text in
# `swarm.connections`, which is a set of streams: none is ever found. Each look adds `limit` more.
# Who is hurt: programs that bound what a topic costs them: the number holds for the first ten minutes.
# What helps: count in the 'connection' event and leave the topic, or destroy what is too much.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm i --no-audit --no-fund --loglevel=error hyperswarm@4.17.2 hyperdht@6.34.0 >/dev/null
cat >swarm.js <<'JS'
const Hyperswarm = require('hyperswarm')
const createTestnet = require('hyperdht/testnet')

async function main() {
  const testnet = await createTestnet(4)
  const topic = Buffer.alloc(32, 7)
  const servers = []
  for (let i = 0; i < 5; i++) {
    const server = new Hyperswarm({ bootstrap: testnet.bootstrap })
    server.on('connection', (socket) => socket.on('error', () => {}))
    servers.push(server)
    await server.join(topic, { client: false }).flushed()
  }
  const client = new Hyperswarm({ bootstrap: testnet.bootstrap })
  client.on('connection', (socket) => socket.on('error', () => {}))
  const session = client.join(topic, { server: false, limit: 1 })
  const seen = []
  for (let look = 0; look < 3; look++) {
    // what its own timer does every ten minutes, with the limit said again
    if (look) await session.refresh({ client: true, server: false, limit: 1 })
    await client.flush()
    seen.push(client.connections.size)
  }
  console.log('expected  1, 1, 1 connections after three looks')
  console.log(`seen      ${seen.join(', ')}`)
  const holds = seen[2] > 1
  console.log(`holds: ${holds ? 'yes' : 'no'}`)
  await client.destroy()
  await Promise.all(servers.map((server) => server.destroy()))
  await testnet.destroy()
  process.exit(holds ? 0 : 1)
}
main()
JS
timeout 120 node swarm.js
