import { describe, expect, it } from 'vitest'
import { createJsonLog } from '../../src/daemon/serve/json-log.ts'
import { Lines } from '../../src/daemon/serve/serve-log.ts'
import { BrokerError } from '../../src/errors.ts'
import { until } from '../fixtures/broker.ts'

describe('the log of a server', () => {
  const lines: string[] = []
  const log = createJsonLog(
    (line) => lines.push(line),
    () => 0,
  )

  it('never writes the message of a foreign error', () => {
    log.error('failed', new Error('canary'))
    log.error(
      'failed',
      new BrokerError('internal', 'ours', { hint: '', cause: new Error('canary') }),
    )
    log.error('failed', 'canary')
    expect(lines.join('')).not.toContain('canary')
    expect(lines).toHaveLength(3)
  })

  it('is one JSON object a line, whatever stands in it', () => {
    lines.length = 0
    log.info('a\nb', { name: 'x\n{"level":"error"}' })
    const [line = ''] = lines
    expect(line.indexOf('\n')).toBe(line.length - 1)
    expect(JSON.parse(line)).toEqual({
      time: '1970-01-01T00:00:00.000Z',
      level: 'info',
      message: 'a\nb',
      name: 'x\n{"level":"error"}',
    })
  })
})

describe('lines on their way out', () => {
  const again = Object.assign(new Error('full'), { code: 'EAGAIN' })

  it('wait for a reader that is slow, whole and in order', async () => {
    let text = ''
    let refusals = 3
    const lines = new Lines((bytes) => {
      if (refusals-- > 0) throw again
      const part = bytes.subarray(0, 7)
      text += part.toString()
      return part.length
    })
    for (let i = 0; i < 50; i++) lines.add(`line ${i}\n`)
    await until('all is out', () => text.includes('line 49\n'))
    expect(text).toBe(Array.from({ length: 50 }, (_, i) => `line ${i}\n`).join(''))
  })

  it('are dropped beyond a bound, and how many is said', async () => {
    let text = ''
    let open = false
    const lines = new Lines((bytes) => {
      if (!open) throw again
      text += bytes.toString()
      return bytes.length
    })
    const line = `${'x'.repeat(1023)}\n`
    for (let i = 0; i < 10_000; i++) lines.add(line)
    open = true
    await until('something is out', () => text.includes('droppedLines'))
    const kept = text.split('\n').filter((one) => one.startsWith('x')).length
    expect(kept).toBeLessThanOrEqual(4097)
    expect(text).toContain(`{"droppedLines":${10_000 - kept}}`)
  })

  it('are lost without harm when nobody is there any more', () => {
    const lines = new Lines(() => {
      throw Object.assign(new Error('gone'), { code: 'EPIPE' })
    })
    lines.add('x\n')
    expect(() => lines.close()).not.toThrow()
  })
})
