// A few dht-rpc nodes of the original, steered by JSON lines on stdin; answers are JSON lines on stdout.
// node dht_rpc_peer.mjs FOLDER_WITH_NODE_MODULES
import { createRequire } from 'module'
import { createInterface } from 'readline'

const require = createRequire(process.argv[2] + '/')
const DHT = require('dht-rpc')

const PUT = 70
const GET = 71
const nodes = []

function serve (node) {
  const stored = new Map()
  node.on('request', (req) => {
    const key = req.target && req.target.toString('hex')
    if (req.command === PUT && req.token) {
      stored.set(key, req.value)
      req.reply(null)
    } else if (req.command === GET) {
      req.reply(stored.get(key) || null)
    } else {
      req.error(DHT.ERROR_UNKNOWN_COMMAND)
    }
  })
  node.stored = stored
  return node
}

const ops = {
  async start ({ bootstrap, options = {}, count = 1 }) {
    const started = []
    for (let i = 0; i < count; i++) {
      const node = serve(new DHT({ host: '127.0.0.1', bootstrap, ...options }))
      await node.fullyBootstrapped()
      nodes.push(node)
      started.push(await ops.info({ node: nodes.length - 1 }))
    }
    return started
  },
  async info ({ node }) {
    const dht = nodes[node]
    return {
      server: dht.io.serverSocket.address().port,
      ephemeral: dht.ephemeral,
      firewalled: dht.firewalled,
      host: dht.host,
      port: dht.port,
      known: dht.toArray(),
      stored: dht.stored.size
    }
  },
  async ping ({ node, to }) {
    const res = await nodes[node].ping(to)
    return { to: res.to, error: res.error, token: res.token !== null, id: res.from.id !== null }
  },
  async delayedPing ({ node, to, ms }) {
    const started = Date.now()
    await nodes[node].delayedPing(to, ms)
    return { ms: Date.now() - started }
  },
  async request ({ node, to, command, target, value, token }) {
    const res = await nodes[node].request({
      command,
      target: target && Buffer.from(target, 'hex'),
      value: value && Buffer.from(value, 'hex'),
      token: token && Buffer.from(token, 'hex')
    }, to)
    return { error: res.error, token: res.token && res.token.toString('hex'), closer: (res.closerNodes || []).length }
  },
  async find ({ node, target }) {
    const q = nodes[node].findNode(Buffer.from(target, 'hex'))
    await q.finished()
    return q.closestNodes.map((n) => n.port)
  },
  async put ({ node, target, value }) {
    const q = nodes[node].query(
      { target: Buffer.from(target, 'hex'), command: GET },
      {
        commit: (reply, dht) => dht.request(
          { token: reply.token, target: q.target, command: PUT, value: Buffer.from(value, 'hex') },
          reply.from
        )
      }
    )
    await q.finished()
    return q.closestNodes.map((n) => n.port)
  },
  async get ({ node, target }) {
    const values = []
    for await (const res of nodes[node].query({ target: Buffer.from(target, 'hex'), command: GET })) {
      if (res.value) values.push({ port: res.from.port, value: res.value.toString('hex') })
    }
    return values
  }
}

const input = createInterface({ input: process.stdin })
input.on('line', async (line) => {
  const { op, ...args } = JSON.parse(line)
  try {
    console.log(JSON.stringify({ ok: await ops[op](args) }))
  } catch (err) {
    console.log(JSON.stringify({ failed: err.code || err.message }))
  }
})
input.on('close', async () => {
  await Promise.all(nodes.map((node) => node.destroy()))
})
