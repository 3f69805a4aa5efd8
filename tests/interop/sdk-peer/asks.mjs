// node asks.mjs PROVIDER_KEY PLAN.json [--seed HEX64] [--timeout MS]
// PLAN.json: [{"modelSrc": PATH, "modelConfig": {...}, "asks": [{...parameters of completion() but modelId}, ...]}, ...]
// Loads each model, asks one after the other, unloads. One line per answer:
//   {"event":"answer","load":N,"ask":N,"text":...,"stopReason":...,"stats":{...}}      or with "error":{...} in place
import fs from 'node:fs'
import { prepare, say, parseArgs, errorInfo } from './peer.mjs'

const opts = parseArgs(process.argv.slice(2))
const [providerPublicKey, plan] = opts._
prepare('consumer', opts)
const { loadModel, unloadModel, completion, close } = await import('@qvac/sdk')

const delegate = { providerPublicKey, ...(opts.timeout && { timeout: Number(opts.timeout) }) }
for (const [load, { modelSrc, modelConfig, asks }] of JSON.parse(fs.readFileSync(plan, 'utf8')).entries()) {
  let modelId
  try {
    modelId = await loadModel({ modelSrc, modelType: 'llamacpp-completion', modelConfig, delegate })
  } catch (err) {
    say('load-failed', { load, error: errorInfo(err) })
    continue
  }
  for (const [ask, parameters] of asks.entries()) {
    let text = ''
    try {
      const run = completion({ modelId, stream: true, ...parameters })
      run.final.catch(() => {})
      for await (const event of run.events) if (event.type === 'contentDelta') text += event.text
      const { contentText, stopReason, stats, thinkingText } = await run.final
      say('answer', { load, ask, text: contentText, thinking: thinkingText, stopReason, stats })
    } catch (err) {
      say('answer', { load, ask, text, error: errorInfo(err) })
    }
  }
  await unloadModel({ modelId, autoClose: false }).catch((err) => say('unload-failed', { load, error: errorInfo(err) }))
}
say('end')
await close().catch(() => {})
process.exit(0)
