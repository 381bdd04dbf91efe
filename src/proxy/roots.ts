import { getCACertificates } from 'node:tls'

const BLOCK = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g

let roots: string | undefined

/**
 * What a client that replaces its roots has to go on trusting: the public roots node comes with, the
 * machine's own (a company's among them) and those named to this process by `NODE_EXTRA_CA_CERTS`.
 * PEM, `CERTIFICATE` blocks alone, each once. Read once in the life of a process, which takes about
 * 50 ms on Linux; a root added to the machine later is there after a restart.
 */
export function publicRoots(): string {
  roots ??= certificateBlocks([
    ...getCACertificates('bundled'),
    ...getCACertificates('system'),
    ...getCACertificates('extra'),
  ])
  return roots
}

/** The `CERTIFICATE` blocks found in the texts, one writing for each; all else is left out. */
export function certificateBlocks(texts: readonly string[]): string {
  const blocks = new Set<string>()
  for (const text of texts) {
    for (const [, inner = ''] of text.matchAll(BLOCK)) {
      const lines = inner.replaceAll(/\s/g, '').match(/.{1,64}/g) ?? []
      blocks.add(`-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`)
    }
  }
  return [...blocks].join('')
}
