/**
 * A Java key store (JKS, version 2) that trusts these certificates, for programs that know no other
 * file of roots: what `keytool` makes, without it. The format has no specification of its own; it
 * is read by every Java since 1.2 (javax.net.ssl.trustStoreType=JKS). `password` only seals it
 * against accidents. Pure.
 */
export function javaTrustStore(
  certificates: readonly Uint8Array[],
  { at = new Date(0), password = 'changeit' }: { at?: Date; password?: string } = {},
): Buffer {
  const body = Buffer.concat([
    int32(0xfeedfeed),
    int32(2),
    int32(certificates.length),
    ...certificates.flatMap((der, index) => [
      int32(TRUSTED),
      text(`root-${index}`),
      int64(at.getTime()),
      text('X.509'),
      int32(der.length),
      der,
    ]),
  ])
  return Buffer.concat([body, seal(body, password)])
}

const TRUSTED = 2

function seal(body: Uint8Array, password: string): Buffer {
  // Loaded when it is needed, which is rarely: this file is on the way of every proxied task.
  const { createHash } = process.getBuiltinModule('node:crypto')
  const wide = Buffer.from(password, 'utf16le').swap16()
  return createHash('sha1').update(wide).update('Mighty Aphrodite').update(body).digest()
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function int64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}
