import { describe, expect, test } from 'vitest'
import { STATUS } from '../../src/api/status.ts'
import { asksForJson, normalise } from '../../src/cli/argv.ts'
import { connectionSettings } from '../../src/cli/connection-settings.ts'
import { failureOf } from '../../src/cli/failure.ts'
import { Interrupted } from '../../src/cli/interrupted.ts'
import type { Manifest } from '../../src/cli/manifest.ts'
import { nearest } from '../../src/cli/nearest.ts'
import { usageError } from '../../src/cli/usage-error.ts'
import { BrokerError, type ErrorCode } from '../../src/errors.ts'

describe('what is said about an error', () => {
  test('of one that is not ours: its class, and not a word of its text', () => {
    const error = new TypeError('cannot connect to postgres://admin:canary@db', {
      cause: new Error('canary'),
    })
    const failure = failureOf(error)
    expect(JSON.stringify(failure)).not.toContain('canary')
    expect(failure).toMatchObject({
      code: 'internal',
      message: 'unexpected error (TypeError)',
      exit: 1,
    })
    const named = Object.assign(new Error('x'), { name: 'Error', code: 'canary 1' })
    expect(failureOf(named).message).toBe('unexpected error (Error)')
    expect(failureOf('canary').message).toBe('unexpected error (string)')
  })

  test('of ours: everything but the cause', () => {
    const error = new BrokerError('denied', 'no', {
      hint: 'ask',
      details: { a: 1 },
      cause: 'canary',
    })
    expect(failureOf(error)).toEqual({
      code: 'denied',
      message: 'no',
      hint: 'ask',
      details: { a: 1 },
      exit: 3,
    })
  })

  test.each(Object.keys(STATUS) as ErrorCode[])(
    '%s has the exit code of the published table',
    (code) => {
      expect(failureOf(new BrokerError(code, 'x', { hint: 'y' })).exit).toBe(STATUS[code].exit)
    },
  )

  test('of an interruption: 130, of a "no": 1', () => {
    expect(failureOf(new Interrupted())).toMatchObject({
      exit: 130,
      message: 'interrupted',
      hint: '',
    })
    expect(failureOf(new Interrupted('declined'))).toMatchObject({ exit: 1, hint: '' })
  })
})

describe('what the parser threw', () => {
  const manifest: Manifest = {
    tokens: { id: 'tokens', flags: { env: { name: 'env' } }, args: {} },
    'template:check': { id: 'template:check', flags: {}, args: { file: { name: 'file' } } },
  }
  const thrown = (message: string, more: object = {}) =>
    Object.assign(new Error(message), { oclif: { exit: 2 } }, more)

  test('is passed by when it is not the parser at all', () => {
    expect(usageError(new Error('command x not found'), ['x'], manifest)).toBeUndefined()
    expect(usageError('x', [], manifest)).toBeUndefined()
  })

  const sentences = [
    {
      says: 'Flag --env can only be specified once',
      message: 'flag "--env" can be given only once',
    },
    {
      says: 'Expected --env=canary to be one of: a, b\nSee more',
      message: 'flag "--env" must be one of: a, b',
    },
    {
      says: '--env=canary cannot also be provided when using --all',
      message: 'flags "--env" and "--all" exclude each other',
    },
    { says: 'Parsing --env \n\tcanary is not allowed', message: 'flags or arguments do not fit' },
  ]
  test.each(sentences)('becomes: $message', ({ says, message }) => {
    const error = usageError(thrown(says), ['tokens'], manifest)
    expect(error).toMatchObject({ code: 'usage', message, hint: 'see broker tokens --help' })
  })

  test('a flag is named without its value', () => {
    const error = usageError(thrown('x', { flags: ['--evn=canary\ncanary'] }), ['tokens'], manifest)
    expect(error?.message).toBe('unknown flag "--evn"')
    expect(error?.hint).toContain('"--env"')
    expect(error?.hint).not.toContain('canary')
  })

  test('superfluous arguments are counted, not quoted', () => {
    const error = usageError(thrown('x', { args: ['canary'] }), ['template', 'check'], manifest)
    expect(error?.message).toBe('"template check" takes one argument')
  })

  test('an unknown command is quoted only as far as it can be one', () => {
    const error = usageError(thrown('command x not found'), ['tokns', 'canary'], manifest)
    expect(error).toMatchObject({
      message: 'unknown command "tokns"',
      hint: 'did you mean "broker tokens"?',
    })
  })

  test('nothing is suggested for what is like nothing', () => {
    expect(nearest('xyzzy', ['tokens', 'revoke'])).toBeUndefined()
    expect(nearest('tokne', ['tokens', 'revoke'])).toBe('tokens')
  })
})

describe('the command line', () => {
  test('what stands after -- is not ours', () => {
    expect(asksForJson(['exec', '--', 'x', '--json'])).toBe(false)
    expect(asksForJson(['tokens', '--json'])).toBe(true)
    expect(normalise(['exec', '--', 'ls', '-h'])).toEqual(['exec', '--', 'ls', '-h'])
  })

  test('help and -h become --help', () => {
    expect(normalise(['help', 'template', 'check'])).toEqual(['template', 'check', '--help'])
    expect(normalise(['help'])).toEqual(['--help'])
    expect(normalise(['tokens', '-h'])).toEqual(['tokens', '--help'])
  })
})

describe('settings of a connection', () => {
  const rows = [
    { flags: { set: ['canary'] }, message: '--set needs the form key=value' },
    { flags: { set: ['a=1', 'a=2'] }, message: 'setting "a" is given twice' },
    { flags: { set: ['url=x'], url: 'https://x' }, message: 'setting "url" is given twice' },
    { flags: { set: ['__proto__=canary'] }, message: '--set needs the form key=value' },
    { flags: { url: 'canary' }, message: '--url needs an address' },
    { flags: { url: 'https://canary@x' }, message: '--url must not contain a user or a password' },
  ]
  test.each(rows)('refuses $flags', ({ flags, message }) => {
    const error = (() => {
      try {
        return connectionSettings(flags)
      } catch (caught) {
        return caught
      }
    })()
    expect(error).toMatchObject({ code: 'usage', message: expect.stringContaining(message) })
    expect(`${(error as BrokerError).message}${(error as BrokerError).hint}`).not.toContain(
      'canary',
    )
  })

  test('keeps values as they are, = and newlines too', () => {
    expect(connectionSettings({ set: ['a=b=c', 'd=x\ny', 'e='] })).toEqual({
      a: 'b=c',
      d: 'x\ny',
      e: '',
    })
  })
})
