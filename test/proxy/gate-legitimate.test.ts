import { type DocumentNode, Kind, parse, print } from 'graphql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RecordedRequest } from '../../src/demo/cloud/record.ts'
import type { HttpSending, RawSending } from './attacks/gate/attack.ts'
import { fill, fillSending } from './attacks/gate/names.ts'
import { send } from './attacks/gate/send.ts'
import { Stage } from './attacks/gate/stage.ts'
import { CLIENTS } from './legitimate/clients.ts'
import { DOCUMENTS } from './legitimate/documents.ts'
import type { LegitimateRequest } from './legitimate/request.ts'

let stage: Stage
beforeAll(async () => {
  stage = await Stage.open('wide')
})
afterAll(() => stage.close())

type Field = readonly [name: string, value: string]

/** For one hop, or written anew by whoever forwards. */
const HOP = new Set([
  ...['host', 'connection', 'keep-alive', 'proxy-connection', 'http2-settings', 'upgrade', 'te'],
  ...['trailer', 'content-length', 'transfer-encoding', 'expect'],
])
const CARRIERS = new Set(['authorization', 'project-access-token'])

const endToEnd = (fields: readonly Field[]) =>
  fields
    .map(([name, value]) => [name.toLowerCase(), value.trim()] as const)
    .filter(([name]) => !HOP.has(name) && !CARRIERS.has(name))

function sentFields(sending: HttpSending | RawSending): readonly Field[] {
  if (sending.kind !== 'raw') return sending.headers
  const [head = ''] = sending.bytes.split('\r\n\r\n')
  return head
    .split('\r\n')
    .slice(1)
    .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)] as const)
}

function credentialsOf({ headers }: RecordedRequest): readonly Field[] {
  return headers
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => CARRIERS.has(name))
}

/** What a GraphQL server would do for it: the chosen operation with what it uses, and its variables. */
function meaning(body: string) {
  const { query, operationName, variables } = JSON.parse(body)
  const document = parse(query, { noLocation: true })
  const [only] = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION)
  const defined = only?.kind === Kind.OPERATION_DEFINITION ? (only.variableDefinitions ?? []) : []
  const names = new Set(defined.map(({ variable }) => variable.name.value))
  const used = Object.entries(variables ?? {}).filter(([name]) => names.has(name))
  const chosen = operationName || (only?.kind === Kind.OPERATION_DEFINITION && only.name?.value)
  return { document: plain(document), name: chosen || null, variables: Object.fromEntries(used) }
}

/** Block strings are another spelling of the same value. */
function plain(document: DocumentNode): string {
  return print(
    JSON.parse(JSON.stringify(document, (key, value) => (key === 'block' ? undefined : value))),
  )
}

async function pass(one: LegitimateRequest): Promise<void> {
  const { names, task } = stage
  const sending = fillSending(one.send, names) as HttpSending | RawSending
  const before = stage.arrived.length
  const answer = await send(task, sending)
  answer?.close()
  expect(answer?.headers['broker-decision']).toBeUndefined()
  const [arrived, ...more] = stage.arrived.slice(before)
  expect(more).toEqual([])
  if (one.answered) {
    expect(arrived).toBeUndefined()
    expect(answer?.status).toBe(200)
    return
  }
  if (!arrived) throw new Error(`it never arrived: ${answer?.text}`)
  expect(arrived.complete).toBe(true)
  expect(answer?.status).toBeLessThan(403)
  const line = sending.kind === 'raw' ? (sending.bytes.split(' ')[1] ?? '') : sending.path
  expect(arrived.path).toBe(line.replace(/^https:\/\/[^/]+/, ''))
  const sent = one.body === undefined ? bodyOf(sending) : fill(one.body, names)
  const type = new Set(['content-type'])
  if (arrived.path === '/graphql/v2') {
    expect(meaning(arrived.body)).toEqual(meaning(sent))
    expect(arrived.headers).toContainEqual(['content-type', 'application/json'])
  } else {
    expect(arrived.body).toBe(sent)
    type.clear()
  }
  const without = (fields: readonly Field[]) => endToEnd(fields).filter(([name]) => !type.has(name))
  expect(without(arrived.headers)).toEqual(without(sentFields(sending)))
  const own = [
    ['project-access-token', names['minted']],
    ['authorization', `Bearer ${names['accountToken']}`],
  ]
  const [credential, ...others] = credentialsOf(arrived)
  expect(own).toContainEqual(credential)
  expect(others).toEqual([])
}

function bodyOf(sending: HttpSending | RawSending): string {
  if (sending.kind === 'raw') return sending.bytes.slice(sending.bytes.indexOf('\r\n\r\n') + 4)
  return typeof sending.body === 'string'
    ? sending.body
    : Buffer.from(sending.body).toString('latin1')
}

describe('documents', () => {
  for (const one of DOCUMENTS) it(`pass: ${one.name}`, () => pass(one))
})

describe('clients', () => {
  for (const one of CLIENTS) it(`pass: ${one.name}`, () => pass(one))
})

describe('after all of that', () => {
  it('there were enough of them', () => {
    expect(DOCUMENTS.length + CLIENTS.length).toBeGreaterThan(120)
  })

  it('the phantom has arrived nowhere', () => {
    const record = JSON.stringify(stage.guarded.cloud.record)
    for (const phantom of stage.phantoms) expect(record).not.toContain(phantom)
  })

  it('no key stands in the database or the log', () => {
    const kept = stage.kept()
    for (const secret of [...stage.secrets, ...stage.phantoms]) expect(kept).not.toContain(secret)
  })

  it('each of them is on record as allowed, and none as denied', async () => {
    const entries = await stage.entriesSince(0)
    expect(entries.filter(({ type }) => type === 'request.denied')).toEqual([])
    const allowed = entries.filter(({ type }) => type === 'request.allowed')
    expect(allowed).toHaveLength(DOCUMENTS.length + CLIENTS.length)
  })
})
