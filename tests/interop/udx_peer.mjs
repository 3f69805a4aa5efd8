// One UDX stream of the real udx-native, driven by a JSON argument and one line on stdin; tells what happened in JSON lines.
// argument: { localId, remoteId, mode: 'echo' | 'sink' | 'send' | 'destroy', bytes, plain }
// plain: the same chunk over and over and no checksum, for measurements
import { createHash } from 'crypto'
import { createRequire } from 'module'
import { createInterface } from 'readline'

const require = createRequire(process.env.JS_HOME + '/')
const UDX = require('udx-native')

const options = JSON.parse(process.argv[2])
const say = (event, fields = {}) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')
const udx = new UDX()
const socket = udx.createSocket()
socket.bind(0, '127.0.0.1')
const stream = udx.createStream(options.localId)
const hash = createHash('sha256')
let received = 0
let started = 0

stream.on('data', (data) => {
  if (received === 0) started = performance.now()
  received += data.byteLength
  if (!options.plain) hash.update(data)
  if (options.mode === 'echo' && !stream.write(data)) {
    stream.pause()
    stream.once('drain', () => stream.resume())
  }
  if (options.mode === 'destroy') stream.destroy()
})
stream.on('end', () => {
  say('end', { received, sha256: hash.digest('hex'), seconds: (performance.now() - started) / 1000 })
  if (options.mode !== 'send') stream.end()
})
stream.on('message', (data) => { stream.trySend(data) })
stream.on('error', (err) => say('error', { code: err.code }))
stream.on('close', async () => {
  say('close', { received, retransmits: stream.retransmits, rtos: stream.rtoCount, mtu: stream.mtu })
  await socket.close()
  process.exit(0)
})

// the same bytes as udx_driver.py's `pattern`
const CHUNK = 65536
const PLAIN = Buffer.alloc(CHUNK, 7)
function pattern (index) {
  const chunk = Buffer.alloc(CHUNK)
  for (let i = 0; i < CHUNK; i += 4) chunk.writeUInt32LE((Math.imul(index, 2654435761) + i) >>> 0, i)
  return chunk
}

function send () {
  let index = 0
  let left = options.bytes
  const more = () => {
    while (left > 0) {
      const chunk = (options.plain ? PLAIN : pattern(index++)).subarray(0, Math.min(CHUNK, left))
      left -= chunk.byteLength
      if (!stream.write(chunk)) return stream.once('drain', more)
    }
    stream.end()
  }
  more()
}

createInterface({ input: process.stdin }).once('line', (line) => {
  const { port } = JSON.parse(line)
  stream.connect(socket, options.remoteId, port, '127.0.0.1')
  if (options.mode === 'send') send()
})
say('listening', { port: socket.address().port })
