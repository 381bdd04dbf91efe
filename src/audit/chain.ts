import { createHmac, hash, type KeyObject, sign, verify } from 'node:crypto'
import { canonicalJson } from '../lib/json.ts'
import type { Entry, Head, NewEntry, SignedHead, TextEntry } from './entry.ts'

/** Before the first entry. */
export const GENESIS: Head = { seq: 0, hash: '0'.repeat(64) }

/** What sealing needs: the HMAC key for entries and the signing key for heads. */
export interface ChainKeys {
  readonly mac: KeyObject
  readonly signing: KeyObject
  readonly verifying: KeyObject
}

/**
 * The hash of an entry: SHA-256 over the JSON array of predecessor's hash, sequence number, time,
 * type, lease and data. An array of strings and one integer has one JSON form only.
 */
export function entryHash(previous: string, entry: Omit<Entry, 'hash' | 'mac'>): string {
  const { seq, at, type, lease, data } = entry
  return hash('sha256', JSON.stringify([previous, seq, at, type, lease, data]))
}

export function entryMac(keys: ChainKeys, hash: string): string {
  return createHmac('sha256', keys.mac).update(hash).digest('hex')
}

/** Links a new entry behind `head`. Pure; the caller stores it in the transaction it belongs to. */
export function link(keys: ChainKeys, head: Head, entry: NewEntry, at: number): Entry {
  return linkText(keys, head, textEntry(entry), new Date(at).toISOString())
}

/** With its data as canonical JSON. Throws a TypeError for what JSON cannot hold. */
export function textEntry({ type, lease, data }: NewEntry): TextEntry {
  return { type, lease, data: canonicalJson(data) }
}

/** As `link`, for an entry whose text is made; `at` as the entry will have it. */
export function linkText(keys: ChainKeys, head: Head, entry: TextEntry, at: string): Entry {
  const { type, lease, data } = entry
  const linked = { seq: head.seq + 1, at, type, lease, data }
  const hash = entryHash(head.hash, linked)
  return { ...linked, hash, mac: entryMac(keys, hash) }
}

function headBytes(head: Head, at: string): Buffer {
  return Buffer.from(JSON.stringify(['broker-audit-head-v1', head.seq, head.hash, at]))
}

export function signHead(keys: ChainKeys, head: Head, at: number): SignedHead {
  const time = new Date(at).toISOString()
  const signature = sign(null, headBytes(head, time), keys.signing).toString('base64url')
  return { seq: head.seq, hash: head.hash, at: time, signature }
}

/** Anything unreadable counts as not signed by us. */
export function isSignedByUs(keys: ChainKeys, head: SignedHead): boolean {
  try {
    const signature = Buffer.from(head.signature, 'base64url')
    return verify(null, headBytes(head, head.at), keys.verifying, signature)
  } catch {
    return false
  }
}
