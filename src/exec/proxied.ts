import type { ProxyView } from '../api/types.ts'
import { proxyEnvironment } from '../launch/proxy-environment.ts'
import { taskTrust } from './extra-roots.ts'

export interface ProxiedTask {
  readonly environment: Record<string, string>
  readonly remarks: readonly string[]
}

/** The environment of a task that has a proxy, made of the one it would have without. */
export function proxiedTask(
  proxy: ProxyView,
  environment: Readonly<Record<string, string>>,
  cwd: string,
): ProxiedTask {
  const { trust, remarks } = taskTrust(proxy, environment, cwd)
  return { environment: proxyEnvironment(environment, proxy, trust), remarks }
}
