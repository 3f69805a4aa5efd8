// A hyperdht peer that a benchmark drives: one JSON command per line on stdin, one JSON answer per line on stdout.
// peer.py is its twin over our own port; both answer the same commands, so that only the implementation differs.
//   node peer.mjs HOST:PORT [BIND]    a node of the network entered there, bound to a local address
//   node peer.mjs --testnet N [HOST]  a testnet of N nodes; prints its bootstrap
// Commands (times in ms, `seconds` in s):
//   listen {count}                    that many servers of this node; their keys
//   ready                             the node knows its neighbourhood
//   connect {key, fresh}              one connection and one echo; `fresh` on a new node that is ready
//   restart {key, saved}              the same on a new node at once, with what `saved` returned in an earlier process
//   saved {key}                       what this implementation keeps on disk for its next start
//   burst {keys, count}               `count` connections at once, spread over the keys
//   rate {key, seconds, workers}      connections made one after another by each worker
//   announce {topic}  lookup {topic}  of 32 bytes
//   rtt {count, size}  send {bytes}   over the connection of `connect`
//   idle {key, count}                 that many more connections, kept open until `drop`
//   collect                           garbage, before the process's memory is looked at
import { createRequire } from 'node:module'
import path from 'node:path'
import readline from 'node:readline'

const require = createRequire(path.join(process.env.JS_HOME, 'package.json'))
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')
const say = (o) => process.stdout.write(JSON.stringify(o) + '\n')
const CHUNK = Buffer.alloc(65536, 7)

if (process.argv[2] === '--testnet') {
  const net = await createTestnet(Number(process.argv[3]), { host: process.argv[4] ?? '127.0.0.1' })
  say({ event: 'ready', bootstrap: net.bootstrap.map((b) => `${b.host}:${b.port}`) })
  process.stdin.resume()
  process.stdin.once('end', () => net.destroy().then(() => process.exit(0)))
} else {
  const bootstrap = [process.argv[2]]
  const host = process.argv[3] ?? '127.0.0.1'
  const make = (nodes) => new DHT({ bootstrap, host, nodes })
  let dht = make()
  let stream = null
  const servers = []
  const idle = []

  // What a server does with a connection: echo small messages; a message of 8 bytes beginning with 'S' announces a transfer,
  // whose end it acknowledges with one byte.
  function serve(socket) {
    let left = 0
    socket.on('error', () => {})
    socket.on('data', (data) => {
      if (left > 0) {
        left -= data.byteLength
        if (left <= 0) socket.write(Buffer.from([1]))
      } else if (data.byteLength === 8 && data[0] === 0x53) left = data.readUInt32LE(4)
      else socket.write(data)
    })
    socket.on('end', () => socket.end())
  }

  // Open is local on either side: one round trip proves that the path carries data.
  async function open(key) {
    const s = dht.connect(Buffer.from(key, 'hex'))
    s.on('error', () => {})
    await new Promise((resolve, reject) => {
      s.once('open', resolve)
      s.once('error', reject)
    })
    const back = new Promise((resolve, reject) => {
      s.once('data', resolve)
      s.once('close', () => reject(new Error('closed')))
    })
    s.write(Buffer.from('x'))
    await back
    return s
  }

  const commands = {
    async ready() {
      await dht.fullyBootstrapped()
      return {}
    },
    async listen({ count }) {
      for (let i = 0; i < count; i++) {
        const server = dht.createServer(serve)
        await server.listen(DHT.keyPair())
        servers.push(server)
      }
      return { keys: servers.map((server) => server.publicKey.toString('hex')) }
    },
    async connect({ key, fresh }) {
      if (stream) {
        stream.destroy()
        stream = null
      }
      if (fresh) {
        await dht.destroy()
        dht = make()
        await dht.fullyBootstrapped()
      }
      const t0 = performance.now()
      stream = await open(key)
      return { ms: performance.now() - t0 }
    },
    // The original has no file of its own; what an application could keep (nodes) the SDK does not keep.
    async saved() {
      return { saved: null }
    },
    async restart({ key }) {
      await dht.destroy()
      const t0 = performance.now()
      dht = make()
      stream = await open(key)
      return { ms: performance.now() - t0 }
    },
    async burst({ keys, count }) {
      const t0 = performance.now()
      const streams = await Promise.all(Array.from({ length: count }, (_, i) => open(keys[i % keys.length])))
      const ms = performance.now() - t0
      for (const s of streams) s.destroy()
      return { ms }
    },
    async rate({ key, seconds, workers }) {
      const t0 = performance.now()
      let count = 0
      async function worker() {
        while (performance.now() - t0 < seconds * 1000) {
          const s = await open(key)
          s.destroy()
          count++
        }
      }
      await Promise.all(Array.from({ length: workers }, worker))
      return { rate: count / ((performance.now() - t0) / 1000) }
    },
    async announce({ topic }) {
      const t0 = performance.now()
      await dht.announce(Buffer.from(topic, 'hex'), dht.defaultKeyPair).finished()
      return { ms: performance.now() - t0 }
    },
    async lookup({ topic }) {
      const t0 = performance.now()
      let peers = 0
      for await (const reply of dht.lookup(Buffer.from(topic, 'hex'))) peers += reply.peers.length
      const ms = performance.now() - t0
      if (!peers) throw new Error('the announced peer was not found')
      return { ms }
    },
    async idle({ key, count }) {
      for (let i = 0; i < count; i++) idle.push(await open(key))
      return {}
    },
    async collect() {
      globalThis.gc()
      return {}
    },
    async drop() {
      for (const s of idle.splice(0)) s.destroy()
      return {}
    },
    async rtt({ count, size }) {
      const message = Buffer.alloc(size, 1)
      const times = []
      for (let i = 0; i < count; i++) {
        const back = new Promise((resolve) => stream.once('data', resolve))
        const t0 = performance.now()
        stream.write(message)
        await back
        times.push(performance.now() - t0)
      }
      times.sort((a, b) => a - b)
      return { p50: times[Math.floor(count / 2)], p99: times[Math.floor(count * 0.99)] }
    },
    async send({ bytes }) {
      const head = Buffer.alloc(8)
      head[0] = 0x53
      head.writeUInt32LE(bytes, 4)
      const done = new Promise((resolve) => stream.once('data', resolve))
      const t0 = performance.now()
      stream.write(head)
      for (let sent = 0; sent < bytes; sent += CHUNK.byteLength) {
        const chunk = CHUNK.subarray(0, Math.min(CHUNK.byteLength, bytes - sent))
        if (!stream.write(chunk)) await new Promise((resolve) => stream.once('drain', resolve))
      }
      await done
      return { ms: performance.now() - t0 }
    }
  }

  say({ event: 'started' })
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line)
    try {
      say({ event: 'done', ...(await commands[command.do](command)) })
    } catch (err) {
      say({ event: 'failed', message: String(err.message ?? err) })
    }
  }
  process.exit(0)
}
