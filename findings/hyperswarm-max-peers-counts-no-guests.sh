#!/usr/bin/env bash
# hyperswarm 4.17.2, option `maxPeers`: connections that others begin are not counted; a swarm with maxPeers 2 has four and more.
#
# Expected: "maxPeers: The maximum number of peer connections to allow" (README). A third peer is refused, or waits.
# What happens: the number bounds only connects of our own. As a server the swarm takes in everybody; `swarm.connections` grows beyond it.
# Who is hurt: programs on small machines that give each connection a place: the bound does not hold just where strangers decide.
# What helps: count in the firewall function: firewall: () => swarm.connections.size >= 2 (but a refusal there holds for ever, too).
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
  const server = new Hyperswarm({ bootstrap: testnet.bootstrap, maxPeers: 2 })
  server.on('connection', (socket) => socket.on('error', () => {}))
  await server.join(topic, { client: false }).flushed()
  const guests = []
  for (let i = 0; i < 5; i++) {
    const guest = new Hyperswarm({ bootstrap: testnet.bootstrap })
    guests.push(guest)
    const opened = new Promise((resolve) => guest.once('connection', (socket) => resolve(socket.on('error', () => {}))))
    guest.join(topic, { server: false })
    await Promise.race([opened, new Promise((resolve) => setTimeout(resolve, 5000))])
  }
  const seen = server.connections.size
  console.log('expected  2 connections at most')
  console.log(`seen      ${seen} connections`)
  console.log(`holds: ${seen > 2 ? 'yes' : 'no'}`)
  await Promise.all(guests.map((guest) => guest.destroy()))
  await server.destroy()
  await testnet.destroy()
  process.exit(seen > 2 ? 0 : 1)
}
main()
JS
timeout 120 node swarm.js
