import type { Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'
import { BrokerError } from '../errors.ts'

const LONGEST_LINE = 64 * 1024

/** The lines of a socket; one that grows too long is refused before it is complete. */
export async function* lines(socket: Socket): AsyncGenerator<string> {
  let rest = ''
  const decoder = new StringDecoder('utf8') // an HTTP server's sockets refuse setEncoding
  // Leaving this loop must not destroy the socket: the refusal that ends it has yet to be sent.
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    rest += decoder.write(chunk as Buffer)
    for (let at = rest.indexOf('\n'); at >= 0; at = rest.indexOf('\n')) {
      yield rest.slice(0, at)
      rest = rest.slice(at + 1)
    }
    if (rest.length > LONGEST_LINE) throw outOfOrder()
  }
}

/** What does not belong where it came. */
export function outOfOrder(): BrokerError {
  return new BrokerError('invalid_request', 'this frame does not belong here', {
    hint: 'the CLI and the daemon may be of different versions',
  })
}
