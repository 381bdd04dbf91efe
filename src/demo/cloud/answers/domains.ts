import type { Access } from '../access.ts'
import type { DomainRow } from '../world.ts'
import type { RootAnswers } from './answer.ts'

interface Create {
  readonly environmentId: string
  readonly serviceId: string
  readonly targetPort?: number | null
}

export const domains: RootAnswers = {
  serviceDomainCreate: ({ input }: { input: Create }, access: Access) => {
    const { environmentId, serviceId } = access.serviceInstance(
      input.environmentId,
      input.serviceId,
    )
    const environment = access.environment(environmentId)
    const service = access.service(serviceId)
    const names = new Set(access.world.domains.map(({ domain }) => domain))
    const stem = `${service.name}-${environment.name}`
    const free = [stem, ...Array.from(names, (_, at) => `${stem}-${at + 2}`)]
      .map((name) => `${name}.up.railway.app`)
      .find((name) => !names.has(name))
    const row: DomainRow = {
      ...access.maker.row(),
      ...{ kind: 'service', serviceId, environmentId, domain: free ?? stem },
      port: input.targetPort ?? 8080,
    }
    access.world.domains.push(row)
    return row
  },
}

/** A custom domain that has long been set up. */
export const CUSTOM_DOMAIN_STATUS = {
  certificateStatus: 'CERTIFICATE_STATUS_TYPE_VALID',
  certificates: [],
  dnsRecords: [],
  verified: true,
}
