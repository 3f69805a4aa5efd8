// A hyperdht node that does what it is told: one JSON object per line in, one per line out.
// Calls carry an id and are answered with it; what happens by itself is reported as {event, ...}.
import { createHash, randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const require = createRequire(process.cwd() + '/')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')
const { Server: BlindRelayServer } = require('blind-relay')

const sockets = new Map()
let testnet = null
let node = null
let server = null
let relay = null
let relayServer = null

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n')
const hex = (text) => Buffer.from(text, 'hex')
const keyPair = (seed) => (seed ? DHT.keyPair(hex(seed)) : undefined)
const addresses = (list) => list.map(([host, port]) => ({ host, port }))

function keep(name, socket) {
  sockets.set(name, socket)
  let received = 0
  socket.hash = createHash('sha256')
  socket.on('data', (data) => {
    socket.hash.update(data)
    received += data.byteLength
    socket.received = received
    if (socket.echoing) {
      if (!socket.write(data)) {
        socket.pause()
        socket.once('drain', () => socket.resume())
      }
    }
    if (socket.awaiting && received >= socket.awaiting.bytes) socket.awaiting.resolve()
  })
  socket.on('end', () => {
    say({ event: 'end', name })
    socket.end()
  })
  socket.on('error', (error) => say({ event: 'error', name, code: error.code || String(error) }))
  socket.on('close', () => say({ event: 'close', name }))
}

const calls = {
  async testnet({ size, host }) {
    testnet = await createTestnet(size, { host })
    return { bootstrap: testnet.bootstrap.map(({ host, port }) => [host, port]) }
  },
  async node({ bootstrap, seed, options = {} }) {
    node = new DHT({ bootstrap: addresses(bootstrap), host: '127.0.0.1', keyPair: keyPair(seed), ...options })
    await node.fullyBootstrapped()
    return { firewalled: node.firewalled, ephemeral: node.ephemeral, publicKey: node.defaultKeyPair.publicKey.toString('hex') }
  },
  async listen({ seed, echo = true, refuse = [], refuseAll = false, relayThrough = null, hidden = false, refusesPunch = false }) {
    let count = 0
    const options = {
      firewall: (key) => refuseAll || refuse.includes(key.toString('hex')),
      relayThrough: relayThrough && hex(relayThrough),
      // hidden: only a relay leads here; refusesPunch: the same, but said only in answer to the second round
      shareLocalAddress: !hidden && !refusesPunch,
      holepunch: hidden ? false : refusesPunch ? () => false : undefined
    }
    server = node.createServer(options, (socket) => {
      const name = `in${count++}`
      socket.echoing = echo
      keep(name, socket)
      say({ event: 'connection', name, publicKey: socket.remotePublicKey.toString('hex') })
    })
    await server.listen(keyPair(seed))
    return { publicKey: server.publicKey.toString('hex'), relays: server.relayAddresses.length }
  },
  async unlisten() {
    await server.close()
    return {}
  },
  // A blind relay, as the original's tests set one up.
  async relay({ seed }) {
    relay = new BlindRelayServer({ createStream: (options) => node.createRawStream({ ...options, framed: true }) })
    relayServer = node.createServer((socket) => {
      socket.on('error', () => {})
      relay.accept(socket, { id: socket.remotePublicKey }).on('error', () => {})
    })
    await relayServer.listen(keyPair(seed))
    return { publicKey: relayServer.publicKey.toString('hex') }
  },
  relayStats() {
    const { pairings, streams, sessions } = relay.stats
    return { matched: pairings.matched, active: streams.active, sessions: sessions.active }
  },
  connect({ name, key, seed, relayThrough = null, hidden = false }) {
    const options = { keyPair: keyPair(seed), relayThrough: relayThrough && hex(relayThrough) }
    if (hidden) Object.assign(options, { localConnection: false, fastOpen: false, holepunch: () => false })
    const socket = node.connect(hex(key), options)
    const from = Date.now()
    return new Promise((resolve) => {
      socket.once('open', () => {
        keep(name, socket)
        const { remoteHost, remotePort } = socket.rawStream
        resolve({ ms: Date.now() - from, remote: [remoteHost, remotePort] })
      })
      socket.once('error', (error) => resolve({ failed: error.code, ms: Date.now() - from }))
    })
  },
  // Writes pseudo random bytes and waits for as many to come back.
  async pump({ name, bytes, chunk = 65536 }) {
    const socket = sockets.get(name)
    const sent = createHash('sha256')
    socket.hash = createHash('sha256') // of what comes back from here on
    const back = new Promise((resolve) => { socket.awaiting = { bytes: (socket.received || 0) + bytes, resolve } })
    for (let left = bytes; left > 0; ) {
      const data = randomBytes(Math.min(chunk, left))
      left -= data.byteLength
      sent.update(data)
      if (!socket.write(data)) await new Promise((resolve) => socket.once('drain', resolve))
    }
    await back
    return { equal: sent.digest('hex') === socket.hash.copy().digest('hex'), received: socket.received }
  },
  write({ name, data }) {
    sockets.get(name).write(hex(data))
    return {}
  },
  end({ name }) {
    sockets.get(name).end()
    return {}
  },
  destroy({ name }) {
    sockets.get(name).destroy()
    return {}
  },
  async mutablePut({ seed, value, seq }) {
    await node.mutablePut(keyPair(seed), Buffer.from(value), { seq })
    return {}
  },
  async mutableGet({ key }) {
    const found = await node.mutableGet(hex(key))
    return { found: found && { seq: found.seq, value: found.value.toString() } }
  },
  async immutablePut({ value }) {
    const { hash } = await node.immutablePut(Buffer.from(value))
    return { hash: hash.toString('hex') }
  },
  async immutableGet({ hash }) {
    const found = await node.immutableGet(hex(hash))
    return { value: found && found.value.toString() }
  },
  async announce({ topic, seed }) {
    await node.announce(hex(topic), keyPair(seed), []).finished()
    return {}
  },
  async unannounce({ topic, seed }) {
    await node.unannounce(hex(topic), keyPair(seed))
    return {}
  },
  async lookup({ topic }) {
    const keys = new Set()
    for await (const { peers } of node.lookup(hex(topic))) {
      for (const peer of peers) keys.add(peer.publicKey.toString('hex'))
    }
    return { keys: [...keys] }
  },
  async close() {
    if (node) await node.destroy()
    if (testnet) await testnet.destroy()
    return {}
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, call, ...options } = JSON.parse(line)
  Promise.resolve()
    .then(() => calls[call](options))
    .then((result) => say({ id, result }))
    .catch((error) => say({ id, error: error.code || error.stack }))
}
process.exit(0)
