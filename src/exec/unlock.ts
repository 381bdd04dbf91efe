import { openSync } from 'node:fs'
import { createClient } from '../client/http.ts'
import { BrokerError } from '../errors.ts'
import { Secret } from '../lib/secret.ts'
import { draw } from './say.ts'
import type { TaskPlace } from './task.ts'

/**
 * Opens the daemon's vault with BROKER_VAULT_PASSPHRASE or by asking at the terminal. A task is never
 * asked: what it starts could watch the person type. Throws `locked` where there is nobody to ask.
 */
export async function unlock(place: TaskPlace, locked: BrokerError): Promise<void> {
  const given = place.env['BROKER_VAULT_PASSPHRASE']
  const passphrase = given ? new Secret(given) : await askPassphrase(locked, place.caller.inTask)
  await createClient(place).request('unlockVault', { body: { passphrase: passphrase.reveal() } })
}

async function askPassphrase(locked: BrokerError, inTask: boolean): Promise<Secret> {
  const terminal = inTask ? undefined : openTerminal()
  if (terminal === undefined) {
    throw new BrokerError('vault_locked', locked.message, {
      hint: 'set BROKER_VAULT_PASSPHRASE, or run it in a terminal to be asked',
      cause: locked,
    })
  }
  draw('passphrase of the vault: ')
  terminal.setRawMode(true) // nothing that is typed shows
  try {
    return new Secret(await readLine(terminal))
  } finally {
    terminal.setRawMode(false)
    terminal.destroy()
    draw('\n')
  }
}

/** The terminal itself: standard input may be a pipe that belongs to the command. */
function openTerminal() {
  const { isatty, ReadStream } = process.getBuiltinModule('node:tty')
  if (!isatty(2)) return undefined
  try {
    return new ReadStream(openSync('/dev/tty', 'r+'))
  } catch {
    return undefined
  }
}

const INTERRUPTED = 130

function readLine(terminal: NodeJS.ReadStream): Promise<string> {
  let typed = ''
  return new Promise((resolve) => {
    terminal.setEncoding('utf8').on('data', (keys: string) => {
      for (const key of keys) {
        if (key === '\r' || key === '\n') resolve(typed)
        else if (key === '\u0003' || key === '\u0004') {
          terminal.setRawMode(false)
          draw('\n')
          process.exit(INTERRUPTED) // nothing has run and nothing is held
        } else if (key === '\u007f' || key === '\b') typed = [...typed].slice(0, -1).join('')
        else typed += key
      }
    })
  })
}
