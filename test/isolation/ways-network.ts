import { connect, py, type Way } from './way.ts'

export const NETWORK: readonly Way[] = [
  {
    name: 'an abstract socket',
    code: connect('AF_UNIX', '"\\0" + os.environ["ABSTRACT"]'),
    stoppedAt: 'confine',
  },
  {
    name: "a service on the machine's loopback",
    code: connect('AF_INET', '("127.0.0.1", int(os.environ["TCP4"]))'),
    stoppedAt: 'confine',
  },
  {
    name: "a service on the machine's loopback, IPv6",
    code: connect('AF_INET6', '("::1", int(os.environ["TCP6"]))'),
    stoppedAt: 'confine',
  },
  {
    name: 'a direct address',
    code: connect('AF_INET', '(os.environ["ADDRESS"], int(os.environ["TCP4"]))'),
    stoppedAt: 'confine',
  },
  {
    name: 'a direct address, IPv6',
    code: connect('AF_INET6', '(os.environ["ADDRESS6"], int(os.environ["TCP6"]))'),
    stoppedAt: 'confine',
  },
  {
    name: 'curl with the proxy unset',
    code: 'unset HTTP_PROXY http_proxy HTTPS_PROXY https_proxy; curl -sm3 --http0.9 "http://$ADDRESS:$TCP4/"',
    stoppedAt: 'confine',
  },
  {
    name: 'curl with NO_PROXY',
    code: 'NO_PROXY="*" no_proxy="*" curl -sm3 --http0.9 "http://$ADDRESS:$TCP4/"',
    stoppedAt: 'confine',
  },
  {
    name: 'UDP',
    code: py(`
import socket, os
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
s.sendto(b'hello', (os.environ['ADDRESS'], int(os.environ['UDP4'])))
print(s.recv(200).decode())`),
    stoppedAt: 'confine',
  },
  {
    name: 'a proxy of its own choice',
    code: 'curl -sm3 --http0.9 -x "http://$ADDRESS:$TCP4" http://anything.example/',
    stoppedAt: 'confine',
  },
  {
    name: 'UDP, IPv6',
    code: py(`
import socket, os
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout(2)
s.sendto(b'hello', (os.environ['ADDRESS6'], int(os.environ['UDP6'])))
print(s.recv(200).decode())`),
    stoppedAt: 'confine',
  },
  {
    name: 'QUIC to anywhere',
    code: py(
      'import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.connect(("198.51.100.7", 443))\nprint("REACHED")',
    ),
    stoppedAt: 'confine',
  },
  {
    name: 'names asked of a server of its own',
    code: py(`
import socket, os
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
s.sendto(b'\\x00\\x01\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x03key\\x04evil\\x00\\x00\\x01\\x00\\x01', (os.environ['ADDRESS'], int(os.environ['UDP4'])))
print(s.recv(200).decode())`),
    stoppedAt: 'confine',
  },
  {
    name: 'the metadata address',
    code: 'ip route get 169.254.169.254 >/dev/null 2>&1 && echo REACHED',
    stoppedAt: 'confine',
  },
  {
    name: "the machine's addresses",
    code: 'ip -o address | grep -qF " $ADDRESS/" && echo REACHED',
    stoppedAt: 'confine',
  },
  {
    name: 'the connections of others',
    code: 'grep -qi ":$(printf %04x "$TCP4") " /proc/net/tcp && echo REACHED',
    stoppedAt: 'confine',
  },
  {
    name: 'a raw socket',
    code: py('import socket\nsocket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\nprint("REACHED")'),
    stoppedAt: 'mask',
    as: 'root',
  },
  {
    name: 'packets past the stack',
    code: py('import socket\nsocket.socket(17, socket.SOCK_RAW, 0x300)\nprint("REACHED")'),
    stoppedAt: 'mask',
    as: 'root',
  },
  {
    name: 'the network namespace of another process',
    code: `nsenter -t $NEIGHBOUR -n true 2>/dev/null && echo REACHED`,
    stoppedAt: 'mask',
    as: 'root',
  },
  {
    name: 'a changed address of the machine',
    code: 'ip addr add 127.9.9.9/32 dev lo && echo REACHED && ip addr del 127.9.9.9/32 dev lo',
    stoppedAt: 'mask',
    as: 'root',
  },
]
