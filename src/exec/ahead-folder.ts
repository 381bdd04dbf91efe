import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { CONFINED_PROXY_PORT } from '../api/confined.ts'
import { INSIDE, type InsideTerms } from '../launch/isolate/inside-terms.ts'
import type { IsolationFacts } from '../launch/isolate/plan.ts'
import { hostsText, type WaysOut } from '../launch/isolate/ways-out.ts'
import type { Held } from './walls.ts'

/** Where the lease's own socket is inside. */
export const DOOR = `${INSIDE}/own`

const RELAYS = `${INSIDE}/relays`
/** Folders of the lease that the task may write in. */
const OPEN = `${INSIDE}/open`

type Facts = Pick<IsolationFacts, 'leaseFolder' | 'trust' | 'sockets' | 'ownFolders' | 'inside'>

/** What stands at `INSIDE`, all of it by one mount: each costs at every start. */
const AT_INSIDE = 'at-inside'

/**
 * A folder of one task that stands behind its walls before its lease is there: what the lease brings is
 * put into it afterwards, and is found inside under the very names that it has outside. So bubblewrap
 * and the program inside start while the daemon is at work. For `confine` alone, whose lease has a proxy, at a port
 * that is known, and so ends with its daemon: its sockets are never made anew.
 */
export class AheadFolder {
  readonly #path: string
  readonly #base: string
  readonly #program: IsolationFacts['inside']

  /**
   * `path` is private and empty; `base` is where the folders of leases stand, on the same file system; `program`
   * is what runs first.
   */
  constructor(path: string, base: string, program: IsolationFacts['inside']) {
    this.#path = path
    this.#base = base
    this.#program = program
    for (const name of ['leases', 'open', 'inside', AT_INSIDE]) {
      mkdirSync(join(path, name), { mode: 0o700 })
    }
    for (const name of ['own', 'relays', 'caches', 'open']) {
      mkdirSync(this.#at(name), { mode: 0o700 })
    }
    writeFileSync(this.#at('node'), '', { mode: 0o600 })
    copyFileSync(program.program, this.#at('inside.cjs'))
    writeFileSync(this.#roots, '', { mode: 0o600 })
  }

  /** Of what is at `INSIDE`. */
  #at(name: string): string {
    return join(this.#path, AT_INSIDE, name)
  }

  get #roots(): string {
    return join(this.#path, 'roots.pem')
  }

  get #hosts(): string {
    return join(this.#path, 'inside', 'hosts')
  }

  /** What the plan has to know of it. */
  facts(): Facts {
    const at = (name: string) => join(this.#path, name)
    return {
      leaseFolder: this.#path,
      // The task's variables name them in the lease's own folder.
      trust: { bundleFile: this.#roots, addedFile: this.#roots, unnamed: true },
      inside: { ...this.#program, folder: at(AT_INSIDE) },
      sockets: [],
      ownFolders: [
        { from: at('leases'), path: this.#base, writable: false },
        { from: at('open'), path: OPEN, writable: true },
      ],
    }
  }

  /** Open before the lease is there. */
  readonly relays: InsideTerms['relays'] = [
    { host: '127.0.0.1', port: CONFINED_PROXY_PORT, path: `${RELAYS}/0` },
  ]

  /** True if the lease is such a one as was reckoned with. */
  suits({ place, proxy, trust, folders, overlays }: Held, { relays }: WaysOut): boolean {
    if (place === null || proxy === null || trust === undefined) return false
    const [first, ...others] = relays
    return (
      dirname(place.folder) === this.#base &&
      (overlays?.size ?? 0) === 0 &&
      [trust.bundleFile, trust.addedFile].every((file) => dirname(file) === place.folder) &&
      folders.every(({ path }) => dirname(path) === place.folder) &&
      first?.from === place.proxySocket &&
      first.port === CONFINED_PROXY_PORT &&
      others.every(({ port }) => port !== CONFINED_PROXY_PORT)
    )
  }

  /**
   * Puts the lease in, which suits. Returns the ways out that are not open yet. Throws what the file
   * system throws.
   */
  fill({ place, trust, folders }: Held, { relays, names }: WaysOut): InsideTerms['relays'] {
    if (place === null || trust === undefined) throw new TypeError('this lease does not suit')
    const lease = join(this.#path, 'leases', basename(place.folder))
    mkdirSync(lease, { mode: 0o700 })
    for (const file of new Set([trust.bundleFile, trust.addedFile])) {
      linkSync(file, join(lease, basename(file)))
    }
    // Mounted already over the system's own: so written, and not replaced.
    writeFileSync(this.#roots, readFileSync(trust.bundleFile))
    if (names.length > 0) {
      writeFileSync(this.#hosts, hostsText(readFileSync(this.#hosts, 'utf8'), names))
    }
    linkSync(place.socket, join(this.#at('own'), basename(place.socket)))
    for (const [index, { from }] of relays.entries()) {
      linkSync(from, join(this.#at('relays'), String(index)))
    }
    for (const folder of folders) this.#adopt(lease, folder)
    return relays.slice(1).map(({ host, port }, i) => ({ host, port, path: `${RELAYS}/${i + 1}` }))
  }

  /** The folder moves in, and a link takes its place: whoever writes there goes on as before. */
  #adopt(lease: string, { path, writable }: IsolationFacts['ownFolders'][number]): void {
    const name = basename(path)
    const moved = writable ? join(this.#path, 'open', name) : join(lease, name)
    renameSync(path, moved)
    symlinkSync(moved, path)
    if (writable) symlinkSync(`${OPEN}/${name}`, join(lease, name))
  }
}
