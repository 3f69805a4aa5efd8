// Run by Node where the clients are installed: what each of them gets from the endpoint, as one JSON line per client.
// `node every_client.mjs CLIENT…`, with the environment of every_client.py and CLIENTS_HOME.

import { createReadStream } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const { BASE, KEY, CHAT, EMBED, SPEECH, SOUND, CLIENTS_HOME } = process.env
const require = createRequire(CLIENTS_HOME + '/')
const load = (name) => import(pathToFileURL(require.resolve(name)).href)
const QUESTION = 'Name a city.'
const SUM = 'How much is 2 plus 3?'
const [FEW, MANY] = [8, 60]
const ASKED = [{ role: 'user', content: QUESTION }]

const error = async (act) => {
  try {
    await act()
  } catch (raised) {
    return `${raised.name} ${raised.status ?? raised.statusCode ?? ''}: ${raised.message}`
  }
  return 'nothing was raised'
}

const all = async (stream, text) => {
  let said = ''
  for await (const piece of stream) said += text(piece) ?? ''
  return said
}

const clients = {
  async openai() {
    const { default: OpenAI } = await load('openai')
    const client = new OpenAI({ baseURL: BASE, apiKey: KEY, maxRetries: 0 })
    const chat = (more) => client.chat.completions.create({ model: CHAT, messages: ASKED, temperature: 0, ...more })
    const parameters = {
      type: 'object',
      properties: { a: { type: 'integer' }, b: { type: 'integer' } },
      required: ['a', 'b']
    }
    const tools = [{ type: 'function', function: { name: 'add', description: 'Adds two numbers.', parameters } }]
    const schema = {
      type: 'object',
      properties: { city: { type: 'string' }, number: { type: 'integer' } },
      required: ['city', 'number'],
      additionalProperties: false
    }
    const whole = await chat({ max_tokens: FEW })
    const called = await chat({ max_tokens: MANY, tools, tool_choice: 'required', messages: [{ role: 'user', content: SUM }] })
    const format = { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } }
    const formed = await chat({ max_tokens: MANY, response_format: format })
    const vectors = await client.embeddings.create({ model: EMBED, input: 'one' })
    const response = await client.responses.create({ model: CHAT, input: QUESTION, max_output_tokens: FEW, temperature: 0 })
    const helper = client.chat.completions.stream({ model: CHAT, messages: ASKED, temperature: 0, max_tokens: FEW })
    return {
      whole: whole.choices[0].message.content,
      streamed: await all(await chat({ max_tokens: FEW, stream: true }), (piece) => piece.choices[0]?.delta.content),
      helped: await helper.finalContent(),
      called: called.choices[0].message.tool_calls.map((call) => call.function.name).slice(0, 1),
      formed: JSON.parse(formed.choices[0].message.content),
      response: response.output_text,
      embedded: [vectors.data[0].embedding.length],
      // A stream has no length: the body goes out in chunks.
      heard: (await client.audio.transcriptions.create({ file: createReadStream(SOUND), model: SPEECH })).text,
      errors: [await error(() => chat({ model: 'nothing' })), await error(() => chat({ n: 2 }))]
    }
  },

  async langchain() {
    const { ChatOpenAI, OpenAIEmbeddings } = await load('@langchain/openai')
    const { tool } = await load('@langchain/core/tools')
    const { z } = await load('zod')
    const options = { model: CHAT, temperature: 0, apiKey: KEY, configuration: { baseURL: BASE }, maxRetries: 0 }
    const model = new ChatOpenAI({ ...options, maxTokens: FEW })
    const long = new ChatOpenAI({ ...options, maxTokens: MANY })
    const add = tool(({ a, b }) => `${a + b}`, {
      name: 'add',
      description: 'Adds two numbers.',
      schema: z.object({ a: z.number(), b: z.number() })
    })
    const called = await long.bindTools([add], { tool_choice: 'required' }).invoke(SUM)
    const place = z.object({ city: z.string(), number: z.number() })
    const embeddings = new OpenAIEmbeddings({ model: EMBED, apiKey: KEY, configuration: { baseURL: BASE } })
    return {
      whole: (await model.invoke(QUESTION)).content,
      streamed: await all(await model.stream(QUESTION), (piece) => piece.content),
      called: called.tool_calls.map((call) => call.name).slice(0, 1),
      formed: await long.withStructuredOutput(place, { method: 'jsonSchema' }).invoke(QUESTION),
      embedded: [(await embeddings.embedQuery('one')).length],
      errors: [await error(() => new ChatOpenAI({ ...options, model: 'nothing' }).invoke(QUESTION))]
    }
  },

  async ai() {
    const { embed, generateObject, generateText, stepCountIs, streamText, tool } = await load('ai')
    const { createOpenAI } = await load('@ai-sdk/openai')
    const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible')
    const { z } = await load('zod')
    const openai = createOpenAI({ baseURL: BASE, apiKey: KEY })
    const compatible = createOpenAICompatible({
      name: 'ours',
      baseURL: BASE,
      apiKey: KEY,
      supportsStructuredOutputs: true,
      includeUsage: true
    })
    const kinds = { responses: openai(CHAT), chat: openai.chat(CHAT), compatible: compatible(CHAT) }
    const said = {}
    for (const [kind, model] of Object.entries(kinds)) {
      const asked = { model, prompt: QUESTION, temperature: 0, maxRetries: 0 }
      const whole = await generateText({ ...asked, maxOutputTokens: FEW })
      const faults = []
      const stream = streamText({ ...asked, maxOutputTokens: FEW, onError: ({ error }) => faults.push(String(error)) })
      const place = z.object({ city: z.string(), number: z.number() })
      const formed = await generateObject({ ...asked, maxOutputTokens: MANY, schema: place })
      const inputSchema = z.object({ a: z.number(), b: z.number() })
      const add = tool({ description: 'Adds two numbers.', inputSchema, execute: async ({ a, b }) => a + b })
      // Two steps: with /v1/responses the second hands the items of the first back as references.
      const called = await generateText({
        ...asked,
        prompt: SUM,
        maxOutputTokens: MANY,
        tools: { add },
        prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' }),
        stopWhen: stepCountIs(2)
      })
      said[kind] = {
        whole: whole.text,
        streamed: await all(stream.textStream, (piece) => piece),
        finish: await stream.finishReason,
        faults,
        formed: formed.object,
        called: called.steps[0].toolCalls.map((call) => call.toolName).slice(0, 1),
        steps: called.steps.length
      }
    }
    const vector = await embed({ model: openai.textEmbeddingModel(EMBED), value: 'one' })
    const wrong = { model: openai.chat('nothing'), prompt: QUESTION, maxRetries: 0 }
    return {
      ...said.responses,
      by: said,
      embedded: [vector.embedding.length],
      errors: [await error(() => generateText(wrong))]
    }
  }
}

for (const name of process.argv.slice(2)) {
  let result
  try {
    result = await clients[name]()
  } catch (raised) {
    result = { raised: `${raised.stack ?? raised}`.slice(0, 2000) }
  }
  console.log(JSON.stringify({ client: name, ...result }))
}
