import { py, type Way } from './way.ts'

export const KERNEL: readonly Way[] = [
  { name: 'unmounting a mask', code: 'umount .env; umount -l .env; cat .env', stoppedAt: 'mask' },
  {
    name: 'unmounting from a nested namespace',
    code: 'unshare -Urm sh -c "umount .env; umount -l .env; cat .env"',
    stoppedAt: 'mask',
  },
  {
    name: 'unmounting the home from a nested namespace',
    code: 'umount -l "$HOME"; unshare -Urm sh -c "umount -l $HOME; umount -l /; cat $HOME/.aws/credentials"; cat "$HOME/.aws/credentials"',
    stoppedAt: 'mask',
  },
  {
    name: 'a new root in a nested namespace',
    code: 'unshare -Urm sh -c "mount --rbind / /tmp && cd /tmp && mkdir -p /tmp/tmp/old && pivot_root . tmp/old; cat $HOME/.aws/credentials /tmp/old$HOME/.aws/credentials"; cat "$HOME/.aws/credentials"',
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
