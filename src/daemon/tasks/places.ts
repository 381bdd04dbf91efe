import { join } from 'node:path'
import type { TaskPlaceView } from '../../api/types.ts'
import type { Log } from '../../broker/context.ts'
import type { PlaceOrder, Service } from '../../broker/place.ts'
import type { Lease } from '../../core/lease.ts'
import { BrokerError } from '../../errors.ts'
import { ensurePrivateFolder } from '../../lib/home.ts'
import type { LeaseId } from '../../lib/ids.ts'
import { type HeldFolder, proxySocketIn, type TaskFolders } from './folders.ts'
import { openServicePipe } from './service-pipe.ts'
import type { TaskSocket } from './task-server.ts'

export interface PlaceParts {
  readonly folders: TaskFolders
  readonly log: Log
  readonly openSocket: (lease: LeaseId, path: string) => Promise<TaskSocket>
}

interface Part {
  close(): void
}

/** What is open for one lease. A part that comes when the lease has begun to end is closed on the spot. */
class Place {
  readonly folder: HeldFolder
  readonly proxied: boolean
  readonly #parts: Part[] = []
  #closed = false

  constructor(folder: HeldFolder, proxied: boolean) {
    this.folder = folder
    this.proxied = proxied
  }

  get closed(): boolean {
    return this.#closed
  }

  add(part: Part): void {
    if (this.#closed) part.close()
    else this.#parts.push(part)
  }

  close(keep: boolean): void {
    this.#closed = true
    for (const part of this.#parts) part.close()
    this.folder.release(keep)
  }
}

/** What is held ready for tasks behind walls, one place for each lease. */
export class TaskPlaces {
  readonly #parts: PlaceParts
  readonly #open = new Map<string, Place>()

  constructor(parts: PlaceParts) {
    this.#parts = parts
  }

  /** Everything or nothing. */
  async open({ lease, walls, proxied, services }: PlaceOrder): Promise<TaskPlaceView> {
    const place = this.#hold(lease, proxied)
    const { path } = place.folder
    try {
      const socket = await this.#openSocket(lease, place)
      const opened = await openServices(services, place)
      if (place.closed) throw ended(lease)
      return {
        folder: path,
        socket,
        proxySocket: walls === 'confine' ? proxySocketIn(path) : null,
        services: opened,
      }
    } catch (error) {
      if (place.closed) throw ended(lease) // whatever failed then: its folder was taken away
      this.#close(lease, false)
      throw error
    }
  }

  /** After a start: leases that outlived the daemon before find us again where they know us. */
  async restore(lease: (id: string) => Promise<Lease | undefined>): Promise<void> {
    const goesOn = async (id: string) => {
      const found = await lease(id)
      return found?.state === 'active' && !found.proxied
    }
    for (const id of await this.#parts.folders.clear(goesOn)) {
      const place = this.#hold(id, false)
      try {
        await this.#openSocket(id as LeaseId, place)
        // Its end may have begun before there was anything to close.
        if (!(await goesOn(id))) this.#close(id, false)
      } catch (error) {
        this.#parts.log.error('the socket of a task could not be opened again', error)
        this.#close(id, true)
      }
    }
  }

  /** Cuts everything of a lease that begins to end. Returns at once; may be repeated. */
  ending(lease: Pick<Lease, 'id'>): void {
    this.#close(lease.id, false)
  }

  /** Cuts everything. What a lease that outlives us needs to find the next run stays. */
  close(): void {
    for (const [lease, { proxied }] of [...this.#open]) this.#close(lease, !proxied)
  }

  #hold(lease: string, proxied: boolean): Place {
    const place = new Place(this.#parts.folders.hold(lease), proxied)
    this.#open.set(lease, place)
    return place
  }

  async #openSocket(lease: LeaseId, place: Place): Promise<string> {
    const own = join(place.folder.path, 'own')
    ensurePrivateFolder(own)
    const path = join(own, 'task.sock')
    place.add(await this.#parts.openSocket(lease, path))
    return path
  }

  #close(lease: string, keep: boolean): void {
    const place = this.#open.get(lease)
    if (!place) return
    this.#open.delete(lease)
    place.close(keep)
  }
}

/** One for each service, however many grants name it. */
async function openServices(
  services: readonly Service[],
  place: Place,
): Promise<TaskPlaceView['services']> {
  const names = new Map(services.map((one) => [`${one.name.host} ${one.name.port}`, one]))
  const opened: TaskPlaceView['services'][number][] = []
  for (const [index, { name, at }] of [...names.values()].entries()) {
    const socket = join(place.folder.path, `tcp-${index}.sock`)
    place.add(await openServicePipe(socket, at))
    opened.push({ ...name, socket })
  }
  return opened
}

function ended(lease: LeaseId): BrokerError {
  return new BrokerError('lease_ended', `lease "${lease}" was ended while it was being opened`, {
    hint: 'ask again',
  })
}
