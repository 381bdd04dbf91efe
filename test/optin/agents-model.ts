// A model that says one thing: run this command. Then, told what came out, it is content. It speaks the four
// protocols that the agents of the tests speak, each just enough.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'

export const LAST_WORDS = 'the command has run'

export interface Asked {
  readonly path: string
  /** What the agent authenticated itself with, as it was sent. */
  readonly login: string
  readonly tools: readonly string[]
  /** What its tool answered, if this request tells. */
  readonly result: string | undefined
}

export interface Model {
  readonly url: string
  readonly port: number
  readonly asked: readonly Asked[]
  close(): Promise<void>
}

type Json = Record<string, unknown>

interface Tool {
  readonly name: string
  readonly properties: Record<string, Json>
  readonly required: readonly string[]
}

interface Turn {
  /** What to call, or nothing: then there is only something to say. */
  readonly call: { readonly name: string; readonly input: Json } | undefined
}

const SHELL = /^(?:bash|shell|local_shell|shell_command|exec_command|run_shell_command)$/i

/** Listens on the loopback, and on a unix socket as well where a path is given. */
export async function startModel(command: () => string, socket?: string): Promise<Model> {
  const asked: Asked[] = []
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    void body(request).then((json) => {
      if (request.headers.upgrade !== undefined) {
        response.writeHead(426).end() // agents that like a websocket better do without
        return
      }
      const speaks = PROTOCOLS.find(({ path }) => path.test(request.url ?? ''))
      if (request.method !== 'POST' || speaks === undefined) {
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end('{"data":[],"models":[]}')
        return
      }
      const tools = speaks.tools(json)
      const result = speaks.result(json)
      asked.push({
        path: request.url ?? '',
        login: loginOf(request),
        tools: tools.map(({ name }) => name),
        result,
      })
      const tool = result === undefined ? tools.find(({ name }) => SHELL.test(name)) : undefined
      const call = tool && { name: tool.name, input: inputFor(tool, command()) }
      speaks.answer(response, { call }, json)
    })
  }
  const servers = [createServer(answer)]
  await listen(servers[0] as Server, { host: '127.0.0.1', port: 0 })
  if (socket !== undefined) {
    const beside = createServer(answer)
    servers.push(beside)
    await listen(beside, { path: socket })
  }
  const { port } = (servers[0] as Server).address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    asked,
    close: async () => {
      for (const server of servers) {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }
    },
  }
}

async function listen(server: Server, at: { host: string; port: number } | { path: string }) {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(at, resolve)
  })
}

async function body(request: IncomingMessage): Promise<Json> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  const bytes = Buffer.concat(parts)
  const packed = request.headers['content-encoding']
  try {
    const plain =
      packed === 'zstd' ? zstdDecompressSync(bytes) : packed === 'gzip' ? gunzipSync(bytes) : bytes
    return JSON.parse(plain.toString('utf8')) as Json
  } catch {
    return {}
  }
}

function loginOf({ headers }: IncomingMessage): string {
  const named = headers['x-api-key'] ?? headers['x-goog-api-key'] ?? headers['authorization'] ?? ''
  return String(named)
}

function inputFor(tool: Tool, command: string): Json {
  const input: Json = {}
  for (const name of ['command', 'cmd'].filter((name) => name in tool.properties)) {
    input[name] = tool.properties[name]?.['type'] === 'array' ? ['bash', '-lc', command] : command
  }
  for (const name of tool.required) {
    if (name in input) continue
    const type = tool.properties[name]?.['type']
    input[name] = type === 'boolean' ? false : type === 'number' ? 60_000 : 'look at the variables'
  }
  return input
}

interface Protocol {
  readonly path: RegExp
  tools(json: Json): Tool[]
  result(json: Json): string | undefined
  answer(response: ServerResponse, turn: Turn, json: Json): void
}

const list = (value: unknown) => (Array.isArray(value) ? (value as Json[]) : [])
const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

function toolOf(name: unknown, schema: unknown): Tool {
  const { properties = {}, required = [] } = (schema ?? {}) as Partial<Tool>
  return { name: String(name), properties, required }
}

function events(response: ServerResponse, lines: readonly Json[], named: boolean, end = ''): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const line of lines) {
    if (named) response.write(`event: ${String(line['type'])}\n`)
    response.write(`data: ${JSON.stringify(line)}\n\n`)
  }
  response.end(end)
}

/** Anthropic's messages (docs.anthropic.com, "Streaming messages"). */
const MESSAGES: Protocol = {
  path: /\/v1\/messages(?:\?|$)/,
  tools: (json) => list(json['tools']).map((tool) => toolOf(tool['name'], tool['input_schema'])),
  result: (json) =>
    list(json['messages'])
      .flatMap((message) => list(message['content']))
      .filter((part) => part['type'] === 'tool_result')
      .map((part) => text(part['content']))
      .at(-1),
  answer: (response, { call }, json) => {
    const block = call
      ? { type: 'tool_use', id: 'toolu_1', name: call.name, input: {} }
      : { type: 'text', text: '' }
    const delta = call
      ? { type: 'input_json_delta', partial_json: JSON.stringify(call.input) }
      : { type: 'text_delta', text: LAST_WORDS }
    const usage = { input_tokens: 1, output_tokens: 1 }
    const message = {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: json['model'],
      stop_reason: null,
      stop_sequence: null,
      usage,
    }
    const reason = call ? 'tool_use' : 'end_turn'
    if (json['stream'] !== true) {
      const whole = call ? { ...block, input: call.input } : { type: 'text', text: LAST_WORDS }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ ...message, content: [whole], stop_reason: reason }))
      return
    }
    const lines = [
      { type: 'message_start', message: { ...message, content: [] } },
      { type: 'content_block_start', index: 0, content_block: block },
      { type: 'content_block_delta', index: 0, delta },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: reason, stop_sequence: null }, usage },
      { type: 'message_stop' },
    ]
    events(response, lines, true)
  },
}

/** OpenAI's responses (platform.openai.com, "Streaming events"). */
const RESPONSES: Protocol = {
  path: /\/responses(?:\?|$)/,
  tools: (json) =>
    list(json['tools'])
      .filter((tool) => tool['type'] === 'function')
      .map((tool) => toolOf(tool['name'], tool['parameters'])),
  result: (json) =>
    list(json['input'])
      .filter((item) => item['type'] === 'function_call_output')
      .map((item) => text(item['output']))
      .at(-1),
  answer: (response, { call }) => {
    const item = call
      ? {
          type: 'function_call',
          id: 'fc_1',
          call_id: 'call_1',
          name: call.name,
          arguments: JSON.stringify(call.input),
        }
      : {
          type: 'message',
          id: 'msg_1',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: LAST_WORDS, annotations: [] }],
        }
    const usage = {
      input_tokens: 1,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 1,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 2,
    }
    const lines = [
      { type: 'response.created', response: { id: 'resp_1', status: 'in_progress' } },
      { type: 'response.output_item.added', output_index: 0, item },
      { type: 'response.output_item.done', output_index: 0, item },
      {
        type: 'response.completed',
        response: { id: 'resp_1', status: 'completed', output: [item], usage },
      },
    ]
    events(response, lines, true)
  },
}

/** OpenAI's chat completions, which most others speak too. */
const CHAT: Protocol = {
  path: /\/chat\/completions(?:\?|$)/,
  tools: (json) =>
    list(json['tools']).map((tool) => {
      const { name, parameters } = (tool['function'] ?? {}) as Json
      return toolOf(name, parameters)
    }),
  result: (json) =>
    list(json['messages'])
      .filter((message) => message['role'] === 'tool')
      .map((message) => text(message['content']))
      .at(-1),
  answer: (response, { call }, json) => {
    const says = call
      ? {
          role: 'assistant',
          content: null,
          tool_calls: [
            {
              index: 0,
              id: 'call_1',
              type: 'function',
              function: { name: call.name, arguments: JSON.stringify(call.input) },
            },
          ],
        }
      : { role: 'assistant', content: LAST_WORDS }
    const reason = call ? 'tool_calls' : 'stop'
    const frame = { id: 'chat_1', created: 1, model: json['model'] }
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
    if (json['stream'] !== true) {
      const choices = [{ index: 0, message: says, finish_reason: reason }]
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ ...frame, object: 'chat.completion', choices, usage }))
      return
    }
    const chunk = { ...frame, object: 'chat.completion.chunk' }
    const lines = [
      { ...chunk, choices: [{ index: 0, delta: says, finish_reason: null }] },
      { ...chunk, choices: [{ index: 0, delta: {}, finish_reason: reason }], usage },
    ]
    events(response, lines, false, 'data: [DONE]\n\n')
  },
}

/** Google's generateContent (ai.google.dev, "streamGenerateContent"). */
const GENERATE: Protocol = {
  path: /:(?:streamG|g)enerateContent/,
  tools: (json) =>
    list(json['tools'])
      .flatMap((tool) => list(tool['functionDeclarations']))
      .map((tool) => toolOf(tool['name'], tool['parametersJsonSchema'] ?? tool['parameters'])),
  result: (json) =>
    list(json['contents'])
      .flatMap((content) => list(content['parts']))
      .filter((part) => 'functionResponse' in part)
      .map((part) => text(part['functionResponse']))
      .at(-1),
  answer: (response, { call }, json) => {
    const part = call
      ? { functionCall: { name: call.name, args: call.input } }
      : { text: plainAnswer(json) }
    const line = {
      candidates: [{ index: 0, content: { role: 'model', parts: [part] }, finishReason: 'STOP' }],
      usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
    }
    if (response.req.url?.includes('streamGenerateContent')) return events(response, [line], false)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(line))
  },
}

/** Gemini asks a small model first which of the others to take, and wants JSON. */
function plainAnswer(json: Json): string {
  const wanted = (json['generationConfig'] as Json | undefined)?.['responseMimeType']
  if (wanted !== 'application/json') return LAST_WORDS
  return JSON.stringify({ reasoning: 'simple', model_choice: 'flash', complexity_score: 1 })
}

const PROTOCOLS: readonly Protocol[] = [MESSAGES, RESPONSES, CHAT, GENERATE]
