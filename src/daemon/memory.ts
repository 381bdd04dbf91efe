import { writeFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'

/**
 * Every secret passes through this process, so its memory is shown to nobody: not to a core file
 * and not to a debugger. May be repeated.
 */
export function keepMemoryToOurselves(): void {
  // Without a listener Node answers SIGUSR1 by opening its debugger on a port of 127.0.0.1, to every
  // user of the machine.
  process.on('SIGUSR1', () => {})
  keepOutOfCoreFiles()
}

/**
 * Node cannot forbid core files, but Linux lets a process say what of its memory goes into one
 * (core(5), "Controlling which mappings are written"): nothing does. Others have no such switch.
 */
function keepOutOfCoreFiles(): void {
  if (process.platform !== 'linux') return
  try {
    writeFileSync('/proc/self/coredump_filter', '0')
  } catch {
    // a kernel without it, or a sandbox: whoever runs us decides with the limit on core files
  }
}

/**
 * Has every object begin among the young ones. By itself V8 puts what is made at a place whose objects were
 * once seen to live long straight among the old ones. A request that is over and lies there holds all that it
 * refers to, and with that the next one, until the next full collection: in about every second run the
 * daemon's collections took five times as long. Not before what is loaded at the start: what was compiled
 * under other flags, Node's own modules among it, is compiled again. May be repeated.
 */
export function beginYoung(): void {
  setFlagsFromString('--no-allocation-site-pretenuring')
}

/**
 * When nothing has been asked for some seconds V8 collects everything, and as it does that to save memory it
 * lets go of what it knows about kinds of objects of which there is none at that moment: requests, connections.
 * The code that it had compiled for them goes along, and who asks next waits for all of that to be made
 * again: in a daemon that is nearly always between two requests. With this it collects as much and keeps that;
 * the memory it saves besides is not worth it (decision 0033). As late as `beginYoung`, and for its reason. V8 of
 * Node 26 has no such switch, and would complain in the log. May be repeated.
 */
export function keepCode(): void {
  if (Number(process.versions.node.split('.')[0]) >= 26) return
  setFlagsFromString('--no-memory-reducer-favors-memory')
}
