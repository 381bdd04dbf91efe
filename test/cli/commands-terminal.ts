import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { BIN, environment } from './commands-product.ts'

export const CTRL_C = '\u0003'
export const CTRL_D = '\u0004'
export const ENTER = '\r'

/** util-linux `script` gives a real pseudo-terminal. Missing: a loud skip, in CI a failure. */
export function hasTerminal(): boolean {
  const found = spawnSync('script', ['-qec', 'true', '/dev/null'], { input: '' }).status === 0
  if (!found && process.env['CI']) throw new Error('these tests need "script" of util-linux')
  if (!found) console.warn('SKIPPED: tests at a terminal need "script" of util-linux')
  return found
}

/** The product at a terminal: what it shows, both streams together, and a keyboard. */
export class Terminal {
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>
  #shown = ''
  #wake = () => {}

  constructor(
    args: readonly string[],
    options: { readonly home: string; readonly env?: Readonly<Record<string, string>> },
  ) {
    const quoted = [process.execPath, BIN, ...args].map((word) => `'${word}'`).join(' ')
    this.#child = spawn('script', ['-qec', `stty cols 160 rows 40; exec ${quoted}`, '/dev/null'], {
      cwd: options.home,
      env: environment(options.home, options.env),
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#shown += text
      this.#wake()
    })
    this.#ended = new Promise((resolve) => this.#child.once('close', resolve))
    this.#ended.then(() => this.#wake())
  }

  get shown(): string {
    return this.#shown
  }

  /** Waits for `text` to have been shown; the test's own time limit is the only one. */
  async until(text: string): Promise<void> {
    while (!this.#shown.includes(text)) {
      if (this.#child.exitCode !== null) throw new Error(`ended without "${text}": ${this.#shown}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys)
  }

  end(): Promise<number | null> {
    return this.#ended
  }
}
