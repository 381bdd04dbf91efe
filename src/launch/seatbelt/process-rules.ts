import places from './places.json' with { type: 'json' }
import { always, globalName, rule } from './sbpl.ts'

/** Other programs: neither looked into, nor driven, nor started outside of the walls. */
export function processRules(): string[] {
  const ofOthers = ['process-info*', 'signal', 'mach-priv-task-port']
  return [
    ...ofOthers.map((operation) => always('deny', operation)),
    ...ofOthers.map((operation) => `(allow ${operation} (target same-sandbox))`),
    // The arguments and the environment of another process.
    '(deny sysctl-read (sysctl-name-regex #"^kern\\.procargs"))',
    // launchd, Finder and Terminal start things for whoever asks, with all of the person's rights.
    ...['job-creation', 'lsopen', 'appleevent-send', 'user-preference-write'].map((operation) =>
      always('deny', operation),
    ),
    ...rule('deny', 'mach-lookup', places.machServices.map(globalName)),
  ]
}
