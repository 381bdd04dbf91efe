/** Something that people and agents use at work, and how it is seen to go on working inside `confine`. */
export interface Tool {
  readonly name: string
  /** Programs that have to be there, by name or path. */
  readonly needs: readonly string[]
  /** For `sh -c`, in the work tree. It works if it prints `shows`. */
  readonly code: string
  readonly shows: string
  /** What it takes, or what does not go: shown beside it in the documentation. */
  readonly note?: string
  /** It is known not to work, and why. */
  readonly doesNot?: string
  /** The same for root alone. */
  readonly notForRoot?: string
  /** One of those that every run of the suite looks at. */
  readonly always?: true
}
