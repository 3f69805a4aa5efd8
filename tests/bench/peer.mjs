// A hyperdht peer that a benchmark drives: one JSON command per line on stdin, one JSON answer per line on stdout.
// peer.py is its twin over our own port; both answer the same commands, so that only the implementation differs.
//   node peer.mjs HOST:PORT           a node of the network entered there
//   node peer.mjs --testnet N         a testnet of N nodes; prints its bootstrap
// Commands: {"do":"listen"} {"do":"ready"} {"do":"connect","key":HEX,"fresh":bool} {"do":"rtt","count":N,"size":N}
//           {"do":"send","bytes":N} {"do":"burst","key":HEX,"count":N} {"do":"exit"}
import { createRequire } from 'node:module'
import path from 'node:path'
import readline from 'node:readline'

const require = createRequire(path.join(process.env.JS_HOME, 'package.json'))
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')
const say = (o) => process.stdout.write(JSON.stringify(o) + '\n')
const CHUNK = Buffer.alloc(65536, 7)

if (process.argv[2] === '--testnet') {
  const net = await createTestnet(Number(process.argv[3]), { host: '127.0.0.1' })
  say({ event: 'ready', bootstrap: net.bootstrap.map((b) => `${b.host}:${b.port}`) })
  process.stdin.resume()
  process.stdin.once('end', () => net.destroy().then(() => process.exit(0)))
} else {
  const bootstrap = [process.argv[2]]
  const make = () => new DHT({ bootstrap, host: '127.0.0.1' })
  let dht = make()
  let server = null
  let stream = null

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

  const opened = (s) =>
    new Promise((resolve, reject) => {
      s.once('open', resolve)
      s.once('error', reject)
    })

  const commands = {
    async ready() {
      await dht.fullyBootstrapped()
      return {}
    },
    async listen() {
      server = dht.createServer(serve)
      await server.listen()
      return { key: server.publicKey.toString('hex') }
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
      stream = dht.connect(Buffer.from(key, 'hex'))
      stream.on('error', () => {})
      await opened(stream)
      // Open is local on either side: one round trip proves that the path carries data.
      const back = new Promise((resolve) => stream.once('data', resolve))
      stream.write(Buffer.from('x'))
      await back
      return { ms: performance.now() - t0 }
    },
    async burst({ key, count }) {
      const t0 = performance.now()
      const streams = []
      await Promise.all(
        Array.from({ length: count }, async () => {
          const s = dht.connect(Buffer.from(key, 'hex'))
          streams.push(s)
          s.on('error', () => {})
          await opened(s)
          const back = new Promise((resolve) => s.once('data', resolve))
          s.write(Buffer.from('x'))
          await back
        })
      )
      const ms = performance.now() - t0
      for (const s of streams) s.destroy()
      return { ms }
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
    },
    async exit() {
      await dht.destroy()
      process.exit(0)
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
