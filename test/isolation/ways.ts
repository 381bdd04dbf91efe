/** Ways to a key, around the proxy, or to more rights later: data for `ways.test.ts`. */

export interface Way {
  readonly name: string
  /**
   * For `sh -c`, in the work tree. It got there if it prints the canary (`$CANARY` is not known to it) or
   * REACHED, or if `effect` then holds the word HOSTILE.
   */
  readonly code: string
  /** The first level at which it no longer gets there; `open`: at none. */
  readonly stoppedAt: 'mask' | 'confine' | 'open'
  /** Where only one of the two could do it anyway. */
  readonly as?: 'root' | 'nobody'
  /** A file of the world, relative to its folder. */
  readonly effect?: string
}

const py = (code: string) => `/usr/bin/python3 - <<'PY'\n${code}\nPY`

const connect = (family: string, address: string) =>
  py(`
import socket, os
s = socket.socket(socket.${family}); s.settimeout(3)
s.connect(${address})
print(s.recv(200).decode())`)

export const FILES: readonly Way[] = [
  { name: 'a provider file in the home', code: 'cat ~/.railway/config.json', stoppedAt: 'mask' },
  { name: 'the cloud credentials', code: 'cat ~/.aws/credentials', stoppedAt: 'mask' },
  { name: 'an ssh key', code: 'cat ~/.ssh/id_ed25519', stoppedAt: 'mask' },
  { name: 'a file on no list', code: 'cat ~/notes.txt', stoppedAt: 'mask' },
  { name: 'netrc', code: 'cat ~/.netrc', stoppedAt: 'mask' },
  { name: "git's stored credentials", code: 'cat ~/.git-credentials', stoppedAt: 'mask' },
  { name: 'the registry token in .npmrc', code: 'cat ~/.npmrc', stoppedAt: 'mask' },
  {
    name: 'the registry token through npm',
    code: 'npm config get //r.example/:_authToken; cat ~/.npmrc',
    stoppedAt: 'mask',
  },
  { name: "gh's hosts file", code: 'cat ~/.config/gh/hosts.yml', stoppedAt: 'mask' },
  { name: "docker's logins", code: 'cat ~/.docker/config.json', stoppedAt: 'mask' },
  { name: 'a kubeconfig', code: 'cat ~/.kube/config', stoppedAt: 'mask' },
  { name: "the shell's history", code: 'cat ~/.bash_history', stoppedAt: 'mask' },
  { name: 'a keyring file', code: 'cat ~/.local/share/keyrings/login.keyring', stoppedAt: 'mask' },
  { name: "a key in git's settings", code: 'git config --global --list', stoppedAt: 'mask' },
  {
    name: 'a key in an included part of git settings',
    code: 'git config --includes --get-regexp . ',
    stoppedAt: 'mask',
  },
  {
    name: 'a start-up file that exports a key',
    code: 'bash -ic \'echo "$LEAKED_API_TOKEN"\' 2>/dev/null',
    stoppedAt: 'mask',
  },
  {
    name: 'a login start-up file over several lines',
    code: 'bash -lc \'echo "$LEAKED_PRIVATE_KEY"\'; cat ~/.profile',
    stoppedAt: 'mask',
  },
  {
    name: "a start-up file of the machine's",
    code: 'bash -lc \'echo "$LEAKED_BY_MACHINE_TOKEN"\'',
    stoppedAt: 'mask',
    as: 'root',
  },
  { name: 'another home', code: 'cat "$W/other-home/.aws/credentials"', stoppedAt: 'mask' },
  { name: 'a file in the shared temp folder', code: 'cat "$SHARED_TEMP"', stoppedAt: 'mask' },
  { name: 'a file in shared memory', code: 'cat "$SHARED_MEMORY"', stoppedAt: 'mask' },
  {
    name: 'everything by search',
    code: 'grep -rhs CANARY "$W" --include=* -a | head -50 | grep -v HISTORY',
    stoppedAt: 'mask',
  },
  { name: 'the .env of the project', code: 'cat .env', stoppedAt: 'mask' },
  { name: 'a .env further down', code: 'cat config/.env.production', stoppedAt: 'mask' },
  { name: 'a .env up the tree', code: 'cat ../.env ../../.env 2>/dev/null', stoppedAt: 'mask' },
  { name: 'a private key in the project', code: 'cat deploy.pem', stoppedAt: 'mask' },
  { name: "the project's own .npmrc", code: 'cat .npmrc', stoppedAt: 'mask' },
  { name: 'a link to the .env', code: 'ln -s .env also.txt; cat also.txt', stoppedAt: 'mask' },
  { name: 'what a link called .env leads to', code: 'cat settings-real', stoppedAt: 'mask' },
  {
    name: 'a link out of the project',
    code: 'ln -sf ~/.aws/credentials out.txt; cat out.txt',
    stoppedAt: 'mask',
  },
  {
    name: 'a hard link made inside',
    code: 'ln .env hard.txt; cat hard.txt; rm -f hard.txt',
    stoppedAt: 'mask',
  },
  { name: 'a copy', code: 'cp .env copy.txt; cat copy.txt', stoppedAt: 'mask' },
  {
    name: 'a renamed parent',
    code: 'mv config config-2; cat config-2/.env.production; mv config-2 config',
    stoppedAt: 'mask',
  },
  {
    name: 'a renamed .env',
    code: 'mv .env env.txt && cat env.txt && mv env.txt .env',
    stoppedAt: 'mask',
  },
  { name: 'the git history', code: 'git log -p', stoppedAt: 'open' },
  { name: 'an oddly named file of the project', code: 'cat remember.md', stoppedAt: 'open' },
  {
    name: 'the shadow file',
    code: 'grep -q "^root:" /etc/shadow && echo REACHED',
    stoppedAt: 'mask',
    as: 'root',
  },
  { name: 'a root-only file of /etc', code: 'cat "$ETC_SECRET"', stoppedAt: 'mask', as: 'root' },
  {
    name: 'a folder that the shell had open',
    code: 'cat /proc/self/fd/200/.aws/credentials',
    stoppedAt: 'mask',
  },
  {
    name: 'the root of another process',
    code: 'for p in /proc/[0-9]*; do cat $p/root$HOME/.aws/credentials; done 2>/dev/null',
    stoppedAt: 'mask',
  },
  {
    name: 'the folder of another process',
    code: 'cat /proc/$NEIGHBOUR/cwd/.aws/credentials',
    stoppedAt: 'mask',
  },
]

export const BROKER: readonly Way[] = [
  { name: "the broker's database", code: 'cat "$W/broker/state/broker.sqlite"', stoppedAt: 'mask' },
  { name: "the broker's vault", code: 'cat "$W/broker/state/vault.age"', stoppedAt: 'mask' },
  { name: 'the operator key', code: 'cat "$W/broker/config/operator.key"', stoppedAt: 'mask' },
  {
    name: "the broker's socket",
    code: connect('AF_UNIX', 'os.environ["W"] + "/broker/run/broker.sock"'),
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
    code: 'echo HOSTILE >> "$W/broker/run/lease/bundle.pem"',
    stoppedAt: 'mask',
    effect: 'broker/run/lease/bundle.pem',
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
]

export const PROCESSES: readonly Way[] = [
  {
    name: "another process's environment",
    code: "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -a CANARY",
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
  { name: 'a signal to the broker', code: 'kill -0 $NEIGHBOUR && echo REACHED', stoppedAt: 'mask' },
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
  {
    name: 'a socket in the work tree',
    code: connect('AF_UNIX', '"./helper.sock"'),
    stoppedAt: 'mask',
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
    code: 'setsid sh -c "sleep 1.5; echo HOSTILE > survived.txt" >/dev/null 2>&1 & sleep 0.1',
    stoppedAt: 'mask',
    effect: 'work/project/survived.txt',
  },
]

export const KERNEL: readonly Way[] = [
  { name: 'unmounting a mask', code: 'umount .env; umount -l .env; cat .env', stoppedAt: 'mask' },
  {
    name: 'unmounting from a nested namespace',
    code: 'unshare -Urm sh -c "umount .env; umount -l .env; cat .env"',
    stoppedAt: 'mask',
  },
  {
    name: 'a bind mount from a nested namespace',
    code: 'unshare -Urm sh -c "mount --bind . /mnt || mount --bind . /tmp; cat /mnt/.env /tmp/.env; mount --rbind / /tmp; cat /tmp$PWD/.env"',
    stoppedAt: 'mask',
  },
  {
    name: 'an overlay from a nested namespace',
    code: 'unshare -Urm sh -c "mkdir -p /tmp/u /tmp/w /tmp/m; mount -t overlay overlay -o lowerdir=$PWD,upperdir=/tmp/u,workdir=/tmp/w /tmp/m; cat /tmp/m/.env"',
    stoppedAt: 'mask',
  },
  {
    name: 'a moved mount',
    code: 'unshare -Urm sh -c "mount --make-rprivate /; mount --move .env /tmp; cat .env"',
    stoppedAt: 'mask',
  },
  {
    name: 'a remount that may write',
    code: 'unshare -Urm sh -c "mount -o remount,rw,bind .git/config; mount -o remount,rw,bind $PWD/.git/config"; git config isolation.x HOSTILE',
    stoppedAt: 'mask',
    effect: 'work/project/.git/config',
  },
  {
    name: 'a nested bubblewrap',
    code: 'bwrap --bind / / --dev /dev --proc /proc cat .env "$HOME/.aws/credentials"',
    stoppedAt: 'mask',
  },
  {
    name: 'the vsock of a virtual machine',
    code: py('import socket\nsocket.socket(40, socket.SOCK_STREAM)\nprint("REACHED")'),
    stoppedAt: 'mask',
  },
  {
    name: 'an io_uring, which opens sockets unseen',
    code: py(
      'import ctypes\nb = ctypes.create_string_buffer(256)\nif ctypes.CDLL(None).syscall(425, 4, b) >= 0: print("REACHED")',
    ),
    stoppedAt: 'mask',
  },
  {
    name: "the kernel's keyrings",
    code: py('import ctypes\nif ctypes.CDLL(None).syscall(250, 0, -4, 1) != -1: print("REACHED")'),
    stoppedAt: 'mask',
  },
  {
    name: 'a set-uid program',
    code: './suid-id -u | grep -q "^0$" && echo REACHED',
    stoppedAt: 'mask',
    as: 'nobody',
  },
  {
    name: 'a setting of the kernel',
    code: 'v=$(cat /proc/sys/kernel/core_pattern); echo "$v" > /proc/sys/kernel/core_pattern && echo REACHED',
    stoppedAt: 'mask',
    as: 'root',
  },
  {
    name: 'a setting of the kernel through a new /proc',
    code: 'unshare -Urpf --mount-proc sh -c \'v=$(cat /proc/sys/kernel/core_pattern); echo "$v" > /proc/sys/kernel/core_pattern && echo REACHED\'',
    stoppedAt: 'mask',
    as: 'root',
  },
  {
    name: 'devices beyond the harmless ones',
    code: 'find /dev -type b -o -type c | grep -vE "/dev/(null|zero|full|random|urandom|tty|console|ptmx|pts/.*)$" | grep -q . && echo REACHED',
    stoppedAt: 'mask',
  },
  {
    name: 'a device made anew',
    code: 'mknod d c 1 11 && echo REACHED; rm -f d',
    stoppedAt: 'mask',
    as: 'root',
  },
  {
    name: "the kernel's log",
    code: 'dmesg >/dev/null 2>&1 && echo REACHED; head -c1 /dev/kmsg >/dev/null 2>&1 && echo REACHED',
    stoppedAt: 'mask',
    as: 'root',
  },
  {
    name: 'a file by its handle',
    code: py(`
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
h = ctypes.create_string_buffer(136)
struct.pack_into('I', h, 0, 128); mount = ctypes.c_int()
libc.name_to_handle_at(-100, b'.', h, ctypes.byref(mount), 0)
fd = libc.open_by_handle_at(os.open('.', os.O_RDONLY), h, os.O_RDONLY)
if fd >= 0: print('REACHED')`),
    stoppedAt: 'mask',
    as: 'root',
  },
  {
    name: 'rights regained',
    code: 'grep -q "^CapEff:.*[1-9a-f]" /proc/self/status && echo REACHED',
    stoppedAt: 'mask',
    as: 'root',
  },
]

export const LATER: readonly Way[] = [
  {
    name: 'a start-up file',
    code: 'echo HOSTILE >> ~/.bashrc',
    stoppedAt: 'mask',
    effect: 'home/.bashrc',
  },
  {
    name: "git's settings for all projects",
    code: 'git config --global isolation.x HOSTILE',
    stoppedAt: 'mask',
    effect: 'home/.gitconfig',
  },
  {
    name: 'a program of the person',
    code: 'echo HOSTILE > ~/.local/bin/ls',
    stoppedAt: 'mask',
    effect: 'home/.local/bin/ls',
  },
  {
    name: 'a program of a tool chain',
    code: 'echo HOSTILE >> ~/.cargo/bin/cargo',
    stoppedAt: 'mask',
    effect: 'home/.cargo/bin/cargo',
  },
  {
    name: 'a user service',
    code: 'mkdir -p ~/.config/systemd/user && echo HOSTILE > ~/.config/systemd/user/x.service',
    stoppedAt: 'mask',
    effect: 'home/.config/systemd/user/x.service',
  },
  {
    name: 'something that starts with the desktop',
    code: 'mkdir -p ~/.config/autostart && echo HOSTILE > ~/.config/autostart/x.desktop',
    stoppedAt: 'mask',
    effect: 'home/.config/autostart/x.desktop',
  },
  {
    name: 'an allowed ssh key',
    code: 'echo HOSTILE >> ~/.ssh/authorized_keys',
    stoppedAt: 'mask',
    effect: 'home/.ssh/authorized_keys',
  },
  {
    name: 'a shared cache',
    code: 'echo HOSTILE > ~/.npm/x',
    stoppedAt: 'mask',
    effect: 'home/.npm/x',
  },
  {
    name: 'a file of the system',
    code: 'echo HOSTILE >> "$ETC_FILE"',
    stoppedAt: 'mask',
    as: 'root',
    effect: 'etc-link',
  },
  {
    name: 'a git hook',
    code: 'echo HOSTILE > .git/hooks/pre-commit',
    stoppedAt: 'mask',
    effect: 'work/project/.git/hooks/pre-commit',
  },
  {
    name: 'what a git hook leads to',
    code: 'echo HOSTILE >> scripts/on-push.sh',
    stoppedAt: 'mask',
    effect: 'work/project/scripts/on-push.sh',
  },
  {
    name: "the project's git settings",
    code: 'git config core.fsmonitor HOSTILE',
    stoppedAt: 'mask',
    effect: 'work/project/.git/config',
  },
  {
    name: 'the git folder replaced',
    code: 'mv .git .git-2 && mkdir .git && echo HOSTILE > .git/config && mv .git replaced && mv .git-2 .git',
    stoppedAt: 'mask',
    effect: 'work/project/replaced/config',
  },
  {
    name: "a submodule's git settings",
    code: 'echo HOSTILE >> .git/modules/part/config',
    stoppedAt: 'mask',
    effect: 'work/project/.git/modules/part/config',
  },
  {
    name: "an editor's tasks",
    code: 'echo HOSTILE > .vscode/tasks.json',
    stoppedAt: 'mask',
    effect: 'work/project/.vscode/tasks.json',
  },
  {
    name: "an editor's folder replaced",
    code: 'mv .vscode v && mkdir .vscode && echo HOSTILE > .vscode/settings.json && mv .vscode w && mv v .vscode',
    stoppedAt: 'mask',
    effect: 'work/project/w/settings.json',
  },
  {
    name: 'the MCP servers',
    code: 'echo HOSTILE > .mcp.json',
    stoppedAt: 'mask',
    effect: 'work/project/.mcp.json',
  },
  {
    name: 'the MCP servers by rename',
    code: 'echo HOSTILE > m; mv m .mcp.json',
    stoppedAt: 'mask',
    effect: 'work/project/.mcp.json',
  },
  {
    name: "an agent's hooks",
    code: 'echo HOSTILE > .claude/settings.json',
    stoppedAt: 'mask',
    effect: 'work/project/.claude/settings.json',
  },
  {
    name: 'direnv',
    code: 'echo HOSTILE > .envrc',
    stoppedAt: 'mask',
    effect: 'work/project/.envrc',
  },
  {
    name: "the broker's own file",
    code: 'echo HOSTILE >> broker.yaml',
    stoppedAt: 'mask',
    effect: 'work/project/broker.yaml',
  },
  {
    name: 'a run-later file that was not there (told at the end)',
    code: 'mkdir -p .cursor && echo HOSTILE > .cursor/mcp.json',
    stoppedAt: 'open',
    effect: 'work/project/.cursor/mcp.json',
  },
]

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

export const WAYS: readonly Way[] = [
  ...FILES,
  ...BROKER,
  ...PROCESSES,
  ...KERNEL,
  ...LATER,
  ...NETWORK,
]
