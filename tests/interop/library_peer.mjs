// The JavaScript libraries as a Python program's peers: hyperdht and hyperswarm, told what to do in JSON lines.
// One JSON object per line in, one per line out; calls carry an id, what happens by itself is reported as {event, ...}.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const require = createRequire(process.cwd() + '/')
const DHT = require('hyperdht')
const Hyperswarm = require('hyperswarm')

const sockets = new Map()
const rawStreams = new Map()
let node = null
let server = null
let swarm = null

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n')
const hex = (text) => Buffer.from(text, 'hex')
const keyPair = (seed) => (seed ? DHT.keyPair(hex(seed)) : undefined)
const addresses = (list) => list.map(([host, port]) => ({ host, port }))
const pairs = (list) => list.map(({ host, port }) => [host, port])

// Nothing is answered and nothing ended by itself: the test says what is done.
function keep(name, socket) {
  sockets.set(name, socket)
  socket.on('data', (data) => say({ event: 'data', name, data: data.toString() }))
  socket.on('message', (data) => say({ event: 'message', name, data: data.toString() }))
  socket.on('end', () => say({ event: 'end', name }))
  socket.on('error', (error) => say({ event: 'error', name, code: error.code || String(error) }))
  socket.on('close', () => say({ event: 'close', name }))
}

function makeNode({ bootstrap, seed, options = {} }) {
  node = new DHT({ bootstrap: addresses(bootstrap), host: '127.0.0.1', keyPair: keyPair(seed), ...options })
}

const calls = {
  async node(options) {
    makeNode(options)
    await node.fullyBootstrapped()
    return { publicKey: node.defaultKeyPair.publicKey.toString('hex') }
  },
  async listen({ seed, relayThrough = null, refusesPunch = false, hidden = false }) {
    let count = 0
    const options = { relayThrough: relayThrough && hex(relayThrough) }
    if (hidden || refusesPunch) options.shareLocalAddress = false
    if (refusesPunch) options.holepunch = () => false
    server = node.createServer(options, (socket) => {
      const name = `in${count++}`
      keep(name, socket)
      say({ event: 'connection', name, publicKey: socket.remotePublicKey.toString('hex') })
    })
    await server.listen(keyPair(seed))
    return { publicKey: server.publicKey.toString('hex'), relays: pairs(server.relayAddresses) }
  },
  async suspendServer() {
    await server.suspend()
    return {}
  },
  async resumeServer() {
    await server.resume()
    return {}
  },
  connect({ name, key, seed, options = {} }) {
    const socket = node.connect(hex(key), { keyPair: keyPair(seed), ...options })
    return new Promise((resolve) => {
      socket.once('open', () => {
        keep(name, socket)
        resolve({})
      })
      socket.once('error', (error) => resolve({ failed: error.code }))
    })
  },
  write({ name, data }) {
    sockets.get(name).write(data)
    return {}
  },
  send({ name, data }) {
    return sockets.get(name).send(Buffer.from(data)).then((sent) => ({ sent }))
  },
  end({ name, data }) {
    sockets.get(name).end(data)
    return {}
  },
  destroy({ name }) {
    sockets.get(name).destroy()
    return {}
  },
  // Raw streams
  rawStream({ name }) {
    const raw = node.createRawStream()
    rawStreams.set(name, raw)
    keep(name, raw)
    return { id: raw.id }
  },
  connectRawStream({ name, along, remoteId }) {
    DHT.connectRawStream(sockets.get(along), rawStreams.get(name), remoteId)
    return {}
  },
  // What is found in the network
  async findPeer({ key }) {
    const found = []
    for await (const { from, peer } of node.findPeer(hex(key))) {
      found.push({ from: [from.host, from.port], key: peer.publicKey.toString('hex') })
    }
    return { found }
  },
  async lookup({ topic }) {
    const found = {}
    for await (const { peers } of node.lookup(hex(topic))) {
      for (const peer of peers) found[peer.publicKey.toString('hex')] = pairs(peer.relayAddresses)
    }
    return { found }
  },
  async announce({ topic, seed, relays = [] }) {
    await node.announce(hex(topic), keyPair(seed), addresses(relays)).finished()
    return {}
  },
  async lookupAndUnannounce({ topic, seed }) {
    await node.lookupAndUnannounce(hex(topic), keyPair(seed)).finished()
    return {}
  },
  // A swarm
  swarm({ bootstrap, seed, options = {} }) {
    makeNode({ bootstrap, seed })
    swarm = new Hyperswarm({ dht: node, keyPair: keyPair(seed), ...options })
    let count = 0
    swarm.on('connection', (socket, info) => {
      const name = `peer${count++}`
      keep(name, socket)
      say({
        event: 'peer',
        name,
        key: info.publicKey.toString('hex'),
        initiator: socket.isInitiator,
        topics: info.topics.map((topic) => topic.toString('hex'))
      })
    })
    return { publicKey: swarm.keyPair.publicKey.toString('hex') }
  },
  async join({ topic, server = true, client = true, flush = true }) {
    const discovery = swarm.join(hex(topic), { server, client })
    if (flush) await discovery.flushed()
    return {}
  },
  joinPeer({ key }) {
    swarm.joinPeer(hex(key))
    return {}
  },
  async leave({ topic }) {
    await swarm.leave(hex(topic))
    return {}
  },
  async flush() {
    await swarm.flush()
    return {}
  },
  swarmed() {
    return { connections: swarm.connections.size, keys: [...swarm.connections].map((c) => c.remotePublicKey.toString('hex')) }
  },
  async suspend() {
    await swarm.suspend()
    return {}
  },
  async resume() {
    await swarm.resume()
    return {}
  },
  async close() {
    if (swarm) await swarm.destroy()
    else if (node) await node.destroy()
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
