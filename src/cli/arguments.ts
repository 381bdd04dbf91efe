import { Args } from '@oclif/core'

interface Words {
  readonly description: string
}

/**
 * Arguments come from the command line alone. The framework would take a missing one from standard
 * input, where the secret of `connect --secret-stdin` waits.
 */
const OURS = { ignoreStdin: true } as const

export function required({ description }: Words) {
  return Args.string({ ...OURS, description, required: true })
}

export function optional({ description }: Words) {
  return Args.string({ ...OURS, description })
}

export function many({ description }: Words) {
  return Args.string({ ...OURS, description, multiple: true })
}
