import { type Look, paint, visible } from './terminal.ts'

/** What is served, as the server tells it. */
export interface Served {
  readonly url: string
  readonly templates: number
  readonly issuers: {
    readonly trusted: readonly string[]
    /** Issuer → why it could not be asked. */
    readonly failed: ReadonlyMap<string, string>
  }
}

/** One line, when it serves. */
export function servedText({ url, templates, issuers }: Served, look: Look): readonly string[] {
  const { trusted, failed } = issuers
  const each = trusted.map((issuer) => {
    const why = failed.get(issuer)
    return why === undefined
      ? visible(issuer)
      : paint(look, 'bad', `${visible(issuer)} (${visible(why)})`)
  })
  const jobs = each.length === 0 ? 'trusts no issuer yet' : `trusts ${each.join(', ')}`
  const count = `${templates} ${templates === 1 ? 'template' : 'templates'}`
  return [`broker: serving ${visible(url)} · ${count} · ${jobs}`]
}
