import { isBrokerError } from '../../src/errors.ts'

/**
 * What the step says. The runner obeys lines that begin with `::`, so text of others never stands at
 * the beginning of a line, and never holds a line break.
 */
export function print(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()))
}

export function say(text: string): Promise<void> {
  return print(`broker: ${oneLine(text)}\n`)
}

export function warn(text: string): Promise<void> {
  return print(`::warning::broker: ${data(text)}\n`)
}

/** An error of ours with its hint; of others not even the message, which may quote what they handled. */
export function fail(error: unknown): Promise<void> {
  if (isBrokerError(error))
    return print(`::error::broker: ${data(error.message)}%0Ahint: ${data(error.hint)}\n`)
  const name = error instanceof Error ? error.name : 'unknown error'
  return print(`::error::broker: failed for a reason of its own (${data(name)})\n`)
}

/** The data of a workflow command. */
function data(text: string): string {
  return oneLine(text).replaceAll('%', '%25')
}

function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ')
}
