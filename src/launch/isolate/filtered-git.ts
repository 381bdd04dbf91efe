import { valueShape } from '../value-shape.ts'

/** Sections that name a stored credential or a program that hands one out. */
const SECRET_SECTION = /^\s*\[\s*(?:credential|github|gitlab|hub|sendemail|imap)\b/i

/** `[url "git@host:"]` turns addresses into such of ssh, whose keys are not there. */
const TO_SSH = /^\s*\[\s*url\s+"(?:ssh:\/\/|[^\s"/]+@)/i

/** Keys that do, wherever they stand; programs that run later are left to the person's own git. */
const SECRET_KEY =
  /^\s*(?:[a-z]*token|password|smtppass|extraheader|cookiefile|sslkey|sslcert|askpass|sshcommand|gpgsign|proxy|helper)\s*(?:=|$)/i

/** `https://name:key@host` or `https://key@host`, in a section's name or a value; of ssh a name alone is no key. */
const USER_IN_URL = /(?<!\bssh):\/\/[^\s/"@]{1,2400}@|\bssh:\/\/[^\s/"@:]{0,400}:[^\s/"@]{1,2400}@/i

/**
 * git's settings of a person without stored credentials, credential helpers, headers, and addresses that carry a key;
 * and without signing, whose agent is not there. Continued lines (git-config(1)) count as one.
 */
export function filteredGit(text: string): string {
  const kept: string[] = []
  let dropped = false
  for (const line of text.replaceAll('\r\n', '\n').split(/(?<!\\)\n/)) {
    const opening = /^\s*\[/.test(line)
    if (opening) dropped = [SECRET_SECTION, TO_SSH, USER_IN_URL].some((sign) => sign.test(line))
    // `[user] name = x` on one line is allowed: what follows the bracket is a key of its own.
    const rest = opening ? line.replace(/^[^\]]*\]/, '') : line
    if (!dropped && !holdsSecret(rest)) kept.push(line)
    else if (opening && !dropped) kept.push(line.slice(0, line.indexOf(']') + 1))
  }
  return kept.join('\n')
}

/** The same for a repository's own settings, whose remotes go on under their address without the key. */
export function filteredRepository(text: string): string {
  return filteredGit(text.replace(/(https?:\/\/)[^\s/"@]{1,2400}@/gi, '$1'))
}

function holdsSecret(line: string): boolean {
  return SECRET_KEY.test(line) || USER_IN_URL.test(line) || valueShape(line) !== undefined
}
