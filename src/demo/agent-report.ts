import { BrokerError } from '../errors.ts'
import type { Told } from './agent/told.ts'
import type { Ran } from './processes.ts'

type Attempt = Extract<Told, { kind: 'attempt' }>

/** What one run of the agent said, line by line. */
export class AgentReport {
  readonly #hear: (told: Told) => void
  readonly #all: Told[] = []

  constructor(hear: (told: Told) => void) {
    this.#hear = hear
  }

  take(line: string): void {
    const told: Told = JSON.parse(line)
    this.#all.push(told)
    this.#hear(told)
  }

  get all(): readonly Told[] {
    return this.#all
  }

  get attempts(): readonly Attempt[] {
    return this.#all.filter((told) => told.kind === 'attempt')
  }

  get foundIn(): string | null {
    return this.#all.find((told) => told.kind === 'found')?.file ?? null
  }
}

/** Throws where it crashed: an agent that never acted would prove nothing. */
export function mustHaveEnded({ status }: Ran): void {
  if (status === 0) return
  throw new BrokerError('internal', `the agent of the demo ended with ${status}`, {
    hint: 'run it again with --keep and look into the folder that it leaves',
    details: { status },
  })
}
