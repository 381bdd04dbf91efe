import { crc32 } from 'node:zlib'

/**
 * Tells what comes again from what comes once, by checksums of the last few: whoever keeps something for the
 * next time need not keep it for what never comes again. Nothing may rest on the answer but memory and time:
 * two texts that share a checksum are taken for one.
 */
export class SecondTime {
  readonly #most: number
  readonly #once: number[] = []

  /** `most`: how many are told apart. */
  constructor(most: number) {
    this.#most = most
  }

  /** Whether one with this text, and then these bytes, was among the last that came once. */
  has(text: string, bytes: Uint8Array | null = null): boolean {
    const head = crc32(text)
    const sum = bytes === null ? head : crc32(bytes, head)
    if (this.#once.includes(sum)) return true
    if (this.#once.push(sum) > this.#most) this.#once.shift()
    return false
  }
}
