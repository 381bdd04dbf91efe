import { lstatSync, type Stats } from 'node:fs'
import type { DoctorReport, FindingView } from '../api/types.ts'
import type { BrokerError } from '../errors.ts'
import type { Home } from '../lib/home.ts'

type Section = DoctorReport['sections'][number]

/** What can be said without the daemon: it must be of use when none starts. Changes nothing. */
export function localSection(home: Home): Section {
  const { node } = process.versions
  return {
    title: 'this machine',
    findings: [
      { level: 'ok', message: `node ${node} at ${process.execPath}`, hint: null },
      folder('config', home.config),
      folder('state', home.state),
      folder('runtime', home.run),
      privateFile('operator key', home.operatorKey),
      privateFile('database', home.database),
      { level: 'note', message: `socket ${home.socket}`, hint: null },
    ],
  }
}

export function daemonSection(error: BrokerError): Section {
  const { message, hint } = error
  return { title: 'daemon', findings: [{ level: 'problem', message, hint }] }
}

function look(path: string): Stats | null {
  try {
    return lstatSync(path)
  } catch {
    return null
  }
}

function folder(name: string, path: string): FindingView {
  const found = look(path)
  if (found === null) return absent(`${name} folder`, path)
  if (!found.isDirectory())
    return wrong(`${name} folder ${path} is not a folder`, `mv ${path} away`)
  return privacy(`${name} folder`, path, found, 0o700)
}

function privateFile(name: string, path: string): FindingView {
  const found = look(path)
  if (found === null) return absent(name, path)
  if (!found.isFile()) return wrong(`${name} ${path} is not a plain file`, `mv ${path} away`)
  return privacy(name, path, found, 0o600)
}

function absent(name: string, path: string): FindingView {
  return { level: 'note', message: `${name} ${path} is not there yet`, hint: null }
}

function wrong(message: string, hint: string): FindingView {
  return { level: 'problem', message, hint }
}

function privacy(name: string, path: string, found: Stats, wanted: number): FindingView {
  if (process.platform === 'win32') return { level: 'note', message: `${name} ${path}`, hint: null }
  if (found.uid !== process.getuid?.()) {
    return wrong(
      `${name} ${path} belongs to another user`,
      'chown it, or set BROKER_HOME elsewhere',
    )
  }
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0')
  if ((found.mode & 0o077) !== 0) {
    const hint = `chmod ${wanted.toString(8)} ${path}`
    return wrong(`${name} ${path} is open to others (mode ${mode})`, hint)
  }
  return { level: 'ok', message: `${name} ${path} (mode ${mode})`, hint: null }
}
