import { type Access, notFound } from '../access.ts'
import { remove, removeVolume, removeVolumeInstances } from '../removal.ts'
import type { BackupRow, VolumeInstanceRow } from '../world.ts'
import type { RootAnswers } from './answer.ts'

interface InstanceUpdate {
  readonly volumeId: string
  readonly environmentId?: string | null
  readonly input: {
    readonly mountPath?: string | null
    readonly serviceId?: string | null
    readonly state?: string | null
  }
}
interface OneBackup {
  readonly volumeInstanceId: string
  readonly volumeInstanceBackupId: string
}

const done = ({ maker }: Access) => ({ workflowId: maker.uuid() })

export const volumes: RootAnswers = {
  // At once, in every environment, with the backups: the incident.
  volumeDelete: ({ volumeId }: { volumeId: string }, access: Access) => {
    removeVolume(access.world, access.wholeVolume(volumeId).id)
    return true
  },
  volumeInstanceUpdate: (update: InstanceUpdate, access: Access) => {
    for (const instance of chosen(update, access)) change(instance, update.input, access)
    return true
  },
  volumeInstanceBackupCreate: (
    args: { volumeInstanceId: string; name?: string | null },
    access: Access,
  ) => {
    const { id } = access.volumeInstance(args.volumeInstanceId)
    const name = args.name ?? 'manual'
    access.world.backups.push({ ...access.maker.row(), name, volumeInstanceId: id })
    return done(access)
  },
  volumeInstanceBackupDelete: (args: OneBackup, access: Access) => {
    const { backup } = backupOf(args, access)
    remove(access.world.backups, ({ id }) => id === backup.id)
    return done(access)
  },
  // What was backed up later is no longer the past of this volume. What is to be wiped along with it
  // (`wipeServiceIds`) is not documented and changes nothing here.
  volumeInstanceBackupRestore: (args: OneBackup, access: Access) => {
    const { instance, backup } = backupOf(args, access)
    const all = access.world.backups
    const later = new Set(all.slice(all.indexOf(backup) + 1))
    remove(all, (each) => each.volumeInstanceId === instance.id && later.has(each))
    instance.restoredFrom = backup.id
    return done(access)
  },
}

/** Without an environment all of them are meant. */
function chosen(update: InstanceUpdate, access: Access): readonly VolumeInstanceRow[] {
  const { volumeId, environmentId } = update
  if (!environmentId) return access.mountsOf(access.wholeVolume(volumeId).id)
  access.environment(environmentId)
  const mounts = access.mountsOf(access.volume(volumeId).id)
  const here = mounts.filter((instance) => instance.environmentId === environmentId)
  if (here.length === 0) throw notFound('VolumeInstance')
  return here
}

function change(
  instance: VolumeInstanceRow,
  { mountPath, serviceId, state }: InstanceUpdate['input'],
  access: Access,
): void {
  if (state === 'DELETED' || state === 'DELETING') {
    removeVolumeInstances(access.world, ({ id }) => id === instance.id)
    return
  }
  if (serviceId) access.serviceInstance(instance.environmentId, serviceId)
  // Null detaches; not there leaves it.
  if (serviceId !== undefined) instance.serviceId = serviceId
  if (mountPath) instance.mountPath = mountPath
  if (state) instance.state = state
  instance.updatedAt = access.maker.now().toISOString()
}

function backupOf(
  { volumeInstanceId, volumeInstanceBackupId }: OneBackup,
  access: Access,
): { instance: VolumeInstanceRow; backup: BackupRow } {
  const instance = access.volumeInstance(volumeInstanceId)
  const backup = access.world.backups.find(
    (each) => each.id === volumeInstanceBackupId && each.volumeInstanceId === instance.id,
  )
  if (!backup) throw notFound('VolumeInstanceBackup')
  return { instance, backup }
}
