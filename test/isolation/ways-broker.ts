import { py, type Way } from './way.ts'

export const BROKER: readonly Way[] = [
  { name: "the broker's database", code: 'cat "$W/broker/state/broker.sqlite"', stoppedAt: 'mask' },
  { name: "the broker's vault", code: 'cat "$W/broker/state/vault.age"', stoppedAt: 'mask' },
  { name: 'the operator key', code: 'cat "$W/broker/config/operator.key"', stoppedAt: 'mask' },
  {
    name: "the broker's socket",
    code: py(`
import socket, os
s = socket.socket(socket.AF_UNIX); s.settimeout(3)
s.connect(os.environ['W'] + '/broker/run/broker.sock')
s.sendall(b'GET /v1/leases HTTP/1.0\\r\\n\\r\\n')
print(s.recv(200).decode())`),
    stoppedAt: 'mask',
  },
  {
    name: "the broker's socket replaced",
    code: 'f="$W/broker/run/other.sock"; mv "$W/broker/run/broker.sock" "$f" && echo HOSTILE > "$W/broker/run/took-it" && mv "$f" "$W/broker/run/broker.sock"',
    stoppedAt: 'mask',
    effect: 'broker/run/took-it',
  },
  {
    name: "the broker's program",
    code: 'echo HOSTILE >> "$W/tools/broker"',
    stoppedAt: 'mask',
    effect: 'tools/broker',
  },
  {
    name: 'a program before it in PATH',
    code: 'echo HOSTILE > "$W/tools/git"',
    stoppedAt: 'mask',
    effect: 'tools/git',
  },
  {
    name: 'a replaced bundle of roots',
    code: 'for f in "$SSL_CERT_FILE" "$W/broker/run/lease/bundle.pem"; do echo HOSTILE >> "$f"; done 2>/dev/null; tail -n1 "$SSL_CERT_FILE" "$W/broker/run/lease/bundle.pem" | grep -q HOSTILE && echo REACHED',
    stoppedAt: 'mask',
  },
  {
    name: 'what masks are made of',
    code: 'echo HOSTILE >> "$W/broker/run/lease/inside/empty"',
    stoppedAt: 'mask',
    effect: 'broker/run/lease/inside/empty',
  },
  {
    name: 'the folder of the broker from a new name',
    code: 'ln -s "$W/broker" b; cat b/config/operator.key',
    stoppedAt: 'mask',
  },
  {
    name: "the broker's settings",
    code: 'echo HOSTILE > "$W/broker/config/settings.json"',
    stoppedAt: 'mask',
    effect: 'broker/config/settings.json',
  },
  {
    name: "something planted in the broker's state",
    code: 'echo HOSTILE > "$W/broker/state/planted"',
    stoppedAt: 'mask',
    effect: 'broker/state/planted',
  },
]
