import type { IsolatedLevel } from '../isolate/level.ts'
import places from './places.json' with { type: 'json' }
import { always, globalName, literal, rule } from './sbpl.ts'

/**
 * Unix sockets by allow-list: those of ssh-agent, gpg-agent, docker and the broker are none of it. At
 * `confine` nothing else leads out but the ports that are named; a task's own servers may listen, and are
 * reached only where their port is named too, since the loopback is the machine's.
 */
export function networkRules(
  level: IsolatedLevel,
  sockets: readonly string[],
  ports: readonly number[],
): string[] {
  const own = rule('allow', 'network-outbound', sockets.map(literal))
  if (level === 'mask') {
    return [
      '(deny network-outbound (remote unix-socket))',
      ...rule('allow', 'network-outbound', [
        ...[places.resolver, ...places.systemSockets].map(literal),
      ]),
      ...own,
    ]
  }
  return [
    always('deny', 'network*'),
    // These fetch and look up for whoever asks.
    ...rule('deny', 'mach-lookup', places.machServicesOfNetwork.map(globalName)),
    ...rule('allow', 'network-bind', ['(local ip "localhost:*")']),
    ...rule('allow', 'network-inbound', ['(local ip "localhost:*")']),
    ...rule(
      'allow',
      'network-outbound',
      ports.map((port) => `(remote ip "localhost:${port}")`),
    ),
    ...own,
  ]
}
