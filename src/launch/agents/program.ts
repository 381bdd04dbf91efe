/** A program that is about to be started, as it was found on `PATH`. */
export interface Program {
  /** From `resolveCommand`. */
  readonly path: string
  /** The same without links. */
  readonly real: string
}
