#!/usr/bin/env bash
# hyperswarm 4.17.2, option `firewall`: whoever it refused once is never let in again, whatever the function says later.
#
# Expected: `firewall` is "a sync function remotePublicKey => (true|false). If true, the connection will be rejected". It is asked
# about a connection, so a peer whose key was put on the list since is let in when it comes again.
# What happens: a refusal also bans the peer inside of the swarm. From then on the function is not asked about that key any more, and
# the peer gets no answer until the process ends. hyperdht's own server, with the same option, asks each time.
# Who is hurt: programs that let a person decide ("Somebody knocks. Let in?"): a yes after the first knock does nothing.
# What helps: remember the decision outside and undo the ban: swarm.peers.get(key in hex).ban(false).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm i --no-audit --no-fund --loglevel=error hyperswarm@4.17.2 hyperdht@6.34.0 >/dev/null
cat >swarm.js <<'JS'
const Hyperswarm = require('hyperswarm')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// Whether a connect that the firewall lets in on the second knock opens.
async function knockTwice(makeServer) {
  const guest = new DHT({ bootstrap: testnet.bootstrap, host: '127.0.0.1' })
  let allowed = false
  let asked = 0
  const key = await makeServer(() => {
    asked++
    return !allowed
  })
  const opened = []
  for (const yes of [false, true]) {
    allowed = yes
    const socket = guest.connect(key)
    socket.on('error', () => {})
    opened.push(await Promise.race([new Promise((resolve) => socket.on('open', () => resolve(true))), wait(5000).then(() => false)]))
    socket.destroy()
  }
  await guest.destroy()
  return { opened, asked }
}

let testnet
async function main() {
  testnet = await createTestnet(4)
  const swarm = new Hyperswarm({ bootstrap: testnet.bootstrap, firewall: (key) => swarm.rule(key) })
  swarm.on('connection', (socket) => socket.on('error', () => {}))
  const bySwarm = await knockTwice(async (rule) => {
    swarm.rule = rule
    await swarm.listen()
    return swarm.keyPair.publicKey
  })
  const node = new DHT({ bootstrap: testnet.bootstrap, host: '127.0.0.1' })
  const byServer = await knockTwice(async (rule) => {
    const server = node.createServer({ firewall: rule }, (socket) => socket.on('error', () => {}))
    await server.listen()
    return server.publicKey
  })
  console.log('expected  no, then yes')
  for (const [who, { opened, asked }] of [['seen, hyperswarm', bySwarm], ['beside it, hyperdht', byServer]]) {
    console.log(`${who.padEnd(20)} ${opened.map((yes) => (yes ? 'yes' : 'no')).join(', then ')} (the function was asked ${asked} times)`)
  }
  const holds = !bySwarm.opened[1] && byServer.opened[1]
  console.log(`holds: ${holds ? 'yes' : 'no'}`)
  await swarm.destroy()
  await node.destroy()
  await testnet.destroy()
  process.exit(holds ? 0 : 1)
}
main()
JS
timeout 120 node swarm.js
