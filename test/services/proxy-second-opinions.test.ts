import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HttpReader, Readers } from '../fixtures/http-readers.ts'
import type { Reading } from '../fixtures/http-recorder.ts'
import { readersMissing } from '../fixtures/http-servers.ts'
import { type Passage, Passages, WAYS } from '../fixtures/proxy-passages.ts'
import { FRAMING } from '../proxy/attacks/framing.ts'
import { changed, FRAMES, MESSAGE } from '../proxy/fuzz-messages.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 3000)
const AT_ONCE = 60
const MOST_MS = 30_000
/** Of silence, before a request counts as one without an end; the long one to be sure of it. */
const SHORT_MS = 60
const LONG_MS = 1500

/** Behind what was forwarded: found by every reader that saw the request end where it ends. */
const END = Buffer.from('GET /end HTTP/1.1\r\nHost: end.test\r\nConnection: close\r\n\r\n')
const THE_END: Reading = { method: 'GET', target: '/end', host: 'end.test', body: '' }

const NOTHING = {
  of: { text: '', way: 'streamed' },
  sent: Buffer.alloc(0),
  first: true,
  forwarded: null,
} as const

const missing = readersMissing()
let readers: Readers
let passages: Passages
/** How many clients' requests each reader took and read alike. */
const alike = new Map<string, number>()

describe.skipIf(missing)('nginx and HAProxy, asked for a second opinion,', () => {
  beforeAll(async () => {
    readers = await Readers.start()
    passages = await Passages.open(readers.folder)
  })
  afterAll(async () => {
    await passages?.close()
    await readers?.close()
  })

  for (const { name, bytes } of [
    { name: 'a byte behind its end', bytes: 'content-length: 5\r\n\r\nhello!' },
    { name: 'a body that is cut off', bytes: 'content-length: 9\r\n\r\nhello' },
    { name: 'a second request', bytes: `content-length: 5\r\n\r\nhello${END}` },
    { name: 'two lengths', bytes: 'content-length: 5\r\ncontent-length: 6\r\n\r\nhello' },
  ]) {
    it(`would notice a request that was forwarded with ${name}`, async () => {
      const forwarded = Buffer.from(`POST /a HTTP/1.1\r\nhost: a.test\r\n${bytes}`)
      const judged = { method: 'POST', target: '/a', host: 'a.test', body: 'hello' }
      for (const reader of readers.all) {
        const passage = { ...NOTHING, judged, forwarded }
        expect(await doubts(reader, passage), reader.name).toMatch(/^forwarded: /)
      }
    })
  }

  it('would notice a client whose bytes mean another request', async () => {
    const sent = Buffer.from('POST /a HTTP/1.1\r\nhost: a.test\r\ncontent-length: 4\r\n\r\nhello')
    for (const { body, target } of [
      { body: 'hello', target: '/a' },
      { body: null, target: '/a' },
      { body: 'hell', target: '/b' },
    ]) {
      const judged = { method: 'POST', target, host: 'a.test', body }
      for (const reader of readers.all) {
        const passage = { ...NOTHING, sent, judged }
        expect(await doubts(reader, passage), reader.name).toMatch(/^sent: /)
      }
    }
  })

  it('read whatever is let through as it was judged, or refuse it, and what is sent on just so', async () => {
    const text = fc.oneof(
      { weight: 2, arbitrary: MESSAGE },
      { weight: 1, arbitrary: changed(fc.constantFrom(...FRAMING.map(({ raw }) => aimed(raw)))) },
      { weight: 4, arbitrary: FRAMES },
      { weight: 2, arbitrary: changed(FRAMES) },
    )
    const one = fc.record({ text, way: fc.constantFrom(...WAYS) })
    const many = fc.array(one, { minLength: AT_ONCE, maxLength: AT_ONCE })
    const seen = { sent: 0, whole: 0, chunked: 0, cut: 0 }
    const latest = performance.now() + MOST_MS
    await fc.assert(
      fc.asyncProperty(many, async (all) => {
        if (performance.now() > latest) return
        const found = await passages.of(all, SHORT_MS)
        seen.sent += all.length
        for (const { judged, forwarded } of found) {
          if (judged.body !== null) seen.whole++
          else if (forwarded !== null) seen.cut++
          if (forwarded?.includes('transfer-encoding: chunked')) seen.chunked++
        }
        // A slow machine, too, leaves a request without its end: those are given time, alone.
        for (const { passage } of await disagreements(found)) {
          const again = await disagreements(await passages.of([passage.of], LONG_MS))
          expect(again.map(shown)).toEqual([])
        }
      }),
      { numRuns: Math.ceil(RUNS / AT_ONCE), endOnFailure: true },
    )
    // Otherwise it would hold of a proxy that lets nothing through, and of readers that read nothing.
    expect(seen.whole).toBeGreaterThan(seen.sent / 10)
    expect(Math.min(seen.chunked, seen.cut)).toBeGreaterThan(0)
    for (const { name } of readers.all) {
      expect(alike.get(name), name).toBeGreaterThan(seen.whole / 2)
    }
  }, 120_000)
})

const aimed = (text: string) => text.replaceAll('api.test', 'plain.test')

interface Disagreement {
  readonly passage: Passage
  readonly reader: string
  readonly doubt: string
}

async function disagreements(passages: readonly Passage[]): Promise<readonly Disagreement[]> {
  const asked = passages.flatMap((passage) => readers.all.map((reader) => ({ reader, passage })))
  const found = await Promise.all(
    asked.map(async ({ reader, passage }) => {
      const doubt = await doubts(reader, passage)
      return doubt === null ? [] : [{ passage, reader: reader.name, doubt }]
    }),
  )
  return found.flat()
}

const shown = ({ passage: { of, forwarded }, ...more }: Disagreement) => ({
  ...more,
  ...of,
  forwarded: forwarded?.toString('latin1'),
})

/** Why the two do not agree; null where they do. */
async function doubts(reader: HttpReader, passage: Passage): Promise<string | null> {
  const { sent, judged, first, forwarded } = passage
  const { body } = judged
  const [read] = first ? await reader.read(sent, 'ended') : []
  // To read nothing in it is a refusal. But what is unended here must not have ended there.
  if (read && (body === null || !isSame(read, { ...judged, body }))) {
    return `sent: ${JSON.stringify(read)} is not ${JSON.stringify(judged)}`
  }
  if (read) alike.set(reader.name, (alike.get(reader.name) ?? 0) + 1)
  if (forwarded === null) return null
  const found =
    body === null
      ? await reader.read(forwarded, 'ended')
      : await reader.read(Buffer.concat([staying(forwarded), END]), 'open')
  const wanted = body === null ? [] : [{ ...judged, host: hostOf(forwarded), body }, THE_END]
  const agreed = found.length === wanted.length && found.every((one, at) => isSame(one, wanted[at]))
  return agreed ? null : `forwarded: ${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`
}

/** Without the word that nothing follows: it would keep the reader from looking. */
const staying = (bytes: Buffer) =>
  Buffer.from(bytes.toString('latin1').replace(/\r\nconnection: close(?=\r\n)/i, ''), 'latin1')

const hostOf = (bytes: Buffer) => /^host: (\S+)\r$/im.exec(bytes.toString('latin1'))?.[1] ?? ''

function isSame(theirs: Reading, ours: Reading | undefined): boolean {
  if (!ours) return false
  return JSON.stringify(plain(theirs)) === JSON.stringify(plain(ours))
}

/**
 * One spelling of a target and a host: some servers send an absolute target on, or the port, and nginx
 * drops the mark of an empty query.
 */
function plain({ method, target, host, body }: Reading) {
  const path = target.replace(/^http:\/\/[^/?#]*/i, '').replace(/\?$/, '')
  return {
    method,
    target: path.startsWith('/') ? path : `/${path}`,
    host: host.toLowerCase().replace(/:\d+$/, ''),
    body,
  }
}
