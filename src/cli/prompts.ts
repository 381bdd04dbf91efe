import { Secret } from '../lib/secret.ts'
import { Interrupted } from './interrupted.ts'
import { visible } from './terminal.ts'

/** Questions need a keyboard and a screen; both ends, or a script would hang at one. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}

/** Yes or no; Enter alone is no. Throws `Interrupted` on Ctrl-C, Ctrl-D and a lost terminal. */
export function askYesNo(message: string): Promise<boolean> {
  return ask(async (context) => {
    const { confirm } = await import('@inquirer/prompts')
    return confirm({ message: visible(message), default: false }, context)
  })
}

/** Nothing typed is shown, not even its length. Throws `Interrupted` as `askYesNo` does. */
export function askSecret(message: string): Promise<Secret> {
  return ask(async (context) => {
    const { password } = await import('@inquirer/prompts')
    return new Secret(await password({ message: visible(message) }, context))
  })
}

/** What is typed, shown while it is, and unchanged. Throws `Interrupted` as `askYesNo` does. */
export function askText(message: string): Promise<string> {
  return ask(async (context) => {
    const { input } = await import('@inquirer/prompts')
    return input({ message: visible(message) }, context)
  })
}

interface Context {
  readonly output: NodeJS.WritableStream
}

async function ask<T>(question: (context: Context) => Promise<T>): Promise<T> {
  try {
    return await question({ output: process.stderr })
  } catch (error) {
    if (error instanceof Error && /^(?:Exit|Abort|Cancel)PromptError$/.test(error.name)) {
      throw new Interrupted()
    }
    throw error
  }
}
