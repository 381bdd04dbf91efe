/** The person stopped us: Ctrl-C or end of input at a question (130, as shells report SIGINT), or "no". */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  readonly code: 'interrupted' | 'declined'
  readonly exit: number

  constructor(code: 'interrupted' | 'declined' = 'interrupted', exit?: number) {
    super(code === 'interrupted' ? 'interrupted' : 'nothing was changed')
    this.code = code
    this.exit = exit ?? (code === 'interrupted' ? 130 : 1)
  }
}
