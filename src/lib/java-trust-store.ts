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
  const names = certificates.map((_, index) => `root-${index}`)
  const length = certificates.reduce(
    (sum, der, index) => sum + ENTRY_BYTES + (names[index]?.length ?? 0) + der.length,
    HEAD_BYTES,
  )
  // One buffer for all: this is on the way of every confined task of a machine that has Java.
  const store = Buffer.allocUnsafe(length + SEAL_BYTES)
  let end = 0
  const int32 = (value: number) => {
    end = store.writeUInt32BE(value, end)
  }
  const text = (value: string) => {
    end = store.writeUInt16BE(value.length, end)
    end += store.write(value, end, 'latin1')
  }
  int32(MAGIC)
  int32(VERSION)
  int32(certificates.length)
  for (const [index, der] of certificates.entries()) {
    int32(TRUSTED)
    text(names[index] ?? '')
    end = store.writeBigUInt64BE(BigInt(at.getTime()), end)
    text(TYPE)
    int32(der.length)
    store.set(der, end)
    end += der.length
  }
  store.set(seal(store.subarray(0, end), password), end)
  return store
}

const MAGIC = 0xfeedfeed
const VERSION = 2
const TRUSTED = 2
const TYPE = 'X.509'

const HEAD_BYTES = 12
/** Without its name and the certificate. */
const ENTRY_BYTES = 4 + 2 + 8 + 2 + TYPE.length + 4
const SEAL_BYTES = 20

function seal(body: Uint8Array, password: string): Buffer {
  // Loaded when it is needed, which is rarely: this file is on the way of every proxied task.
  const { createHash } = process.getBuiltinModule('node:crypto')
  const wide = Buffer.from(password, 'utf16le').swap16()
  return createHash('sha1').update(wide).update('Mighty Aphrodite').update(body).digest()
}

/** The certificates of a bundle that we have written: `CERTIFICATE` blocks and nothing else. */
export function certificatesIn(bundle: string): Buffer[] {
  const blocks = bundle.split('-----BEGIN CERTIFICATE-----').slice(1)
  // Base64 is read without its line ends.
  return blocks.map((block) => Buffer.from(block.slice(0, block.indexOf('-')), 'base64'))
}

/** Where the key store of a bundle's certificates stands, if it has one. */
export function trustStoreBeside(bundleFile: string): string {
  return `${bundleFile.replace(/\.pem$/, '')}.jks`
}
