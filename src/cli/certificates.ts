/** No `-` in between: a block without its end cannot reach into the next one. */
const BLOCK = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g

/**
 * The CERTIFICATE blocks of a PEM text (RFC 7468), each in the same spelling, so that two of the same
 * certificate are equal. Whatever else stands there, keys above all, is left behind.
 */
export function certificateBlocks(text: string): string[] {
  return Array.from(text.matchAll(BLOCK), ([, body = '']) => {
    const lines = body.replace(/\s+/g, '').match(/.{1,64}/g) ?? []
    return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
  })
}

/** False for a block whose content is no certificate: one such makes some programs reject the whole file. */
export function isCertificate(block: string): boolean {
  const { X509Certificate } = process.getBuiltinModule('node:crypto')
  try {
    new X509Certificate(block)
    return true
  } catch {
    return false
  }
}
