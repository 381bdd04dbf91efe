import { connect, py, type Way } from './way.ts'

/** Made in the work tree when the task is over. */
export const AFTER = 'after-the-end'

const outlive = (file: string) =>
  `for i in $(seq 2400); do [ -e ${AFTER} ] && echo HOSTILE > ${file} && exit; sleep 0.05; done`

export const PROCESSES: readonly Way[] = [
  {
    name: "another process's environment",
    code: "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -a CANARY",
    stoppedAt: 'mask',
  },
  {
    name: 'the environment of its parents',
    code: 'p=$PPID; while [ "$p" -gt 1 ]; do tr "\\0" "\\n" < /proc/$p/environ; p=$(sed -n "s/^PPid:.//p" /proc/$p/status); done 2>/dev/null | grep -a ^PARENT_KEY',
    stoppedAt: 'mask',
  },
  {
    name: "another process's arguments",
    code: "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -a '^CANARY'",
    stoppedAt: 'mask',
  },
  {
    name: "another process's open files",
    code: 'for f in /proc/$NEIGHBOUR/fd/*; do [ -f $f ] && timeout 1 head -c 200 $f; done 2>/dev/null',
    stoppedAt: 'mask',
  },
  {
    name: "another process's memory",
    code: py(`
import os, re
pid = os.environ['NEIGHBOUR']
mem = open(f'/proc/{pid}/mem', 'rb', 0)
for line in open(f'/proc/{pid}/maps'):
    m = re.match(r'([0-9a-f]+)-([0-9a-f]+) rw', line)
    if not m: continue
    a, b = int(m[1], 16), int(m[2], 16)
    try:
        mem.seek(a); data = mem.read(min(b - a, 1 << 26))
    except OSError: continue
    hit = re.search(rb'CANARY-[0-9a-f]{16}', data)
    if hit: print(hit[0].decode()); break`),
    stoppedAt: 'mask',
  },
  {
    name: "another process's memory by process_vm_readv",
    code: py(`
import ctypes, os, re
libc = ctypes.CDLL(None, use_errno=True)
class Part(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]
pid = int(os.environ['NEIGHBOUR'])
for line in open(f'/proc/{pid}/maps'):
    m = re.match(r'([0-9a-f]+)-([0-9a-f]+) rw', line)
    if not m: continue
    a, b = int(m[1], 16), int(m[2], 16)
    into = ctypes.create_string_buffer(min(b - a, 1 << 25))
    here, there = Part(ctypes.addressof(into), len(into)), Part(a, len(into))
    if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) <= 0: continue
    hit = re.search(rb'CANARY-[0-9a-f]{16}', into.raw)
    if hit: print(hit[0].decode()); break`),
    stoppedAt: 'mask',
  },
  {
    name: 'a descriptor taken out of another process',
    code: py(`
import ctypes, os, stat
call = ctypes.CDLL(None, use_errno=True).syscall
pidfd = call(434, int(os.environ['NEIGHBOUR']), 0)
for fd in range(3, 64):
    mine = call(438, pidfd, fd, 0)
    if mine >= 0 and stat.S_ISREG(os.fstat(mine).st_mode): print(os.pread(mine, 200, 0).decode('latin1'))`),
    stoppedAt: 'mask',
  },
  {
    name: 'ptrace',
    code: py(`
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True); pid = int(os.environ['NEIGHBOUR'])
if libc.ptrace(16, pid, 0, 0) == 0:
    print('REACHED'); os.waitpid(pid, 0x40000000); libc.ptrace(17, pid, 0, 0)`),
    stoppedAt: 'mask',
  },
  {
    name: 'gdb on another process',
    code: 'gdb -nx -batch -p $NAMED -ex "info inferiors" 2>/dev/null | grep -q "process $NAMED" && echo REACHED',
    stoppedAt: 'mask',
  },
  {
    name: 'a core dump',
    code: 'gcore -o "$SHARED_TEMP.core" $NAMED >/dev/null 2>&1; grep -aoh "CANARY-[0-9a-f]*" "$SHARED_TEMP".core* | head -1; rm -f "$SHARED_TEMP".core*',
    stoppedAt: 'mask',
  },
  {
    name: 'a signal to the broker',
    code: 'kill -0 $DAEMON && echo REACHED',
    stoppedAt: 'mask',
  },
  { name: 'a signal to exec itself', code: 'kill -0 $LAUNCHER && echo REACHED', stoppedAt: 'mask' },
  {
    name: 'its name space by nsenter',
    code: 'nsenter -t $NEIGHBOUR -m cat "$HOME/.aws/credentials"',
    stoppedAt: 'mask',
    as: 'root',
  },
  {
    name: 'ssh-agent by glob',
    code: 'for s in /tmp/ssh-*/agent.*; do SSH_AUTH_SOCK=$s timeout 2 ssh-add -L; done 2>/dev/null | grep -q isolation-key && echo REACHED',
    stoppedAt: 'mask',
  },
  {
    name: 'ssh-agent by variable',
    code: 'ssh-add -L 2>/dev/null | grep -q isolation-key && echo REACHED',
    stoppedAt: 'mask',
  },
  {
    name: 'gpg-agent by its socket',
    code: 'timeout 3 gpg-connect-agent --no-autostart -S "$GPG_SOCKET" "getinfo version" /bye 2>/dev/null | grep -q "^D " && echo REACHED',
    stoppedAt: 'mask',
  },
  {
    name: 'a tmux server',
    code: 'timeout 3 tmux -S "$TMUX_SOCKET" run-shell "echo HOSTILE > $PWD/by-tmux.txt"',
    stoppedAt: 'mask',
    effect: 'work/project/by-tmux.txt',
  },
  {
    name: 'an unlocked keyring over D-Bus',
    code: 'timeout 5 secret-tool lookup isolation canary',
    stoppedAt: 'mask',
  },
  {
    name: 'the bus by its path',
    code: `DBUS_SESSION_BUS_ADDRESS="$BUS" timeout 5 secret-tool lookup isolation canary`,
    stoppedAt: 'mask',
  },
  {
    name: 'the bus found in /proc/net/unix',
    code: 'for p in $(grep -ao "/[^ ]*dbus-[A-Za-z0-9]*" /proc/net/unix | sort -u | head -200); do DBUS_SESSION_BUS_ADDRESS="unix:path=$p" timeout 2 secret-tool lookup isolation canary; done 2>/dev/null',
    stoppedAt: 'mask',
  },
  { name: 'a docker socket', code: connect('AF_UNIX', 'os.environ["DOCKER"]'), stoppedAt: 'mask' },
  { name: 'the screen (X11)', code: connect('AF_UNIX', 'os.environ["X11"]'), stoppedAt: 'mask' },
  {
    name: 'a socket of the session, in the runtime folder',
    code: connect('AF_UNIX', 'os.environ["RUNTIME"] + "/control"'),
    stoppedAt: 'mask',
  },
  {
    name: 'a socket in the work tree',
    code: connect('AF_UNIX', '"./helper.sock"'),
    stoppedAt: 'mask',
  },
  {
    name: 'a socket that a program outside makes in the work tree meanwhile',
    code: `touch wanted; for i in $(seq 50); do [ -S late.sock ] && break; sleep 0.1; done; ${connect('AF_UNIX', '"./late.sock"')}`,
    stoppedAt: 'open',
    because:
      'the work tree is shared, and what is made in it is seen at once; it takes a program outside that serves there',
  },
  {
    name: "another window's terminal",
    code: '[ -w "$TERMINAL" ] && echo REACHED',
    stoppedAt: 'mask',
  },
  {
    name: 'shared memory of System V',
    code: 'ipcs -m | grep -q "$SEGMENT" && echo REACHED',
    stoppedAt: 'mask',
  },
  {
    name: 'a process that outlives the task',
    code: `setsid sh -c '${outlive('survived.txt')}' >/dev/null 2>&1 & sleep 0.1`,
    stoppedAt: 'mask',
    effect: 'work/project/survived.txt',
  },
  {
    name: 'a daemon that outlives the task',
    code: py(`
import os, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for fd in range(256):
    try: os.close(fd)
    except OSError: pass
for _ in range(2400):
    if os.path.exists('${AFTER}'): open('survived-2.txt', 'w').write('HOSTILE'); break
    time.sleep(0.05)`),
    stoppedAt: 'mask',
    effect: 'work/project/survived-2.txt',
  },
  {
    name: 'a process of its own name space that outlives the task',
    code: `setsid unshare -Urpf sh -c '${outlive('survived-3.txt')}' >/dev/null 2>&1 & sleep 0.1`,
    stoppedAt: 'mask',
    effect: 'work/project/survived-3.txt',
  },
]
