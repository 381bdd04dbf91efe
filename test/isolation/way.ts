/** One way to a key, around the proxy, or to more rights later. */
export interface Way {
  readonly name: string
  /**
   * For `sh -c`, in the work tree. It got there if it prints the canary (`$CANARY` is not known to it) or
   * REACHED, or if `effect` then holds the word HOSTILE.
   */
  readonly code: string
  /** The first level at which it no longer gets there; `open`: at none. */
  readonly stoppedAt: 'mask' | 'confine' | 'open'
  /** Why it is left open: shown beside it in the documentation. */
  readonly because?: string
  /** Where only one of the two could do it anyway. */
  readonly as?: 'root' | 'nobody'
  /** A file of the world, relative to its folder. */
  readonly effect?: string
}

export const py = (code: string) => `/usr/bin/python3 - <<'PY'\n${code}\nPY`

export const connect = (family: string, address: string) =>
  py(`
import socket, os
s = socket.socket(socket.${family}); s.settimeout(3)
s.connect(${address})
print(s.recv(200).decode())`)
