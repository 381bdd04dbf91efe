/**
 * A seccomp filter (Documentation/userspace-api/seccomp_filter.rst) against the few system calls that
 * namespaces do not hold. Everything else goes on as before: it is no second sandbox.
 *
 * - `ioctl(TIOCSTI)` and `TIOCLINUX` type into the person's terminal. With them refused the task keeps that
 *   terminal, job control included; the other remedy is a session without one.
 * - `keyctl` and its kin reach the person's kernel keyrings, which no namespace hides.
 * - `socket` for families beyond those named: AF_VSOCK talks to the host of a virtual machine from
 *   any network namespace.
 * - `io_uring_setup`, because a ring opens sockets without the call above.
 */
interface Numbers {
  /** AUDIT_ARCH_* of linux/audit.h. */
  readonly audit: number
  readonly keyrings: readonly number[]
  readonly ioctl: number
  readonly socket: number
  /** Calls that would do the same by another way. */
  readonly others: readonly number[]
}

const IO_URING_SETUP = 425

const X86_64: Numbers = {
  audit: 0xc000003e,
  keyrings: [248, 249, 250],
  ioctl: 16,
  socket: 41,
  others: [IO_URING_SETUP],
}
/** `socketcall` hides its arguments behind a pointer; C libraries have had `socket` itself since 2015. */
const I386: Numbers = {
  audit: 0x40000003,
  keyrings: [286, 287, 288],
  ioctl: 54,
  socket: 359,
  others: [IO_URING_SETUP, 102],
}
const AARCH64: Numbers = {
  audit: 0xc00000b7,
  keyrings: [217, 218, 219],
  ioctl: 29,
  socket: 198,
  others: [IO_URING_SETUP],
}
const ARM: Numbers = {
  audit: 0x40000028,
  keyrings: [309, 310, 311],
  ioctl: 54,
  socket: 281,
  others: [IO_URING_SETUP],
}

const MACHINES: Readonly<Record<string, readonly Numbers[]>> = {
  x64: [X86_64, I386],
  arm64: [AARCH64, ARM],
}

const TERMINAL_INPUT = [0x5412, 0x541c]

/** AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG (linux/socket.h). */
const FAMILIES = [1, 2, 10, 16, 17, 38]

/** x32 calls have this bit and numbers of their own. */
const X32 = 0x40000000

const EPERM = 1
const ENOSYS = 38
const EAFNOSUPPORT = 97

/** Offsets in `struct seccomp_data`; of arguments the low half, which is all the kernel looks at here. */
const NUMBER = 0
const ARCHITECTURE = 4
const FIRST_ARGUMENT = 16
const SECOND_ARGUMENT = 24

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number]

const load = (offset: number): Instruction => [0x20, 0, 0, offset]
const answer = (error: number): Instruction => [0x06, 0, 0, 0x00050000 | error]
const ALLOW: Instruction = [0x06, 0, 0, 0x7fff0000]
/** Goes on with the next instruction if equal, else passes over `count`. */
const unlessEqualSkip = (value: number, count: number): Instruction => [0x15, 0, count, value]

/**
 * The filter for bwrap's `--seccomp`, or `undefined` for a machine whose numbers we do not know
 * (`process.arch`). Programs of any other architecture get ENOSYS for everything.
 */
export function systemCallFilter(machine: string): Uint8Array | undefined {
  const known = made.get(machine)
  if (known !== undefined) return known
  const kinds = MACHINES[machine]
  if (kinds === undefined) return undefined
  const program: Instruction[] = [load(ARCHITECTURE)]
  for (const numbers of kinds) {
    const checks = checksFor(numbers)
    program.push(unlessEqualSkip(numbers.audit, checks.length), ...checks)
  }
  const filter = bytesOf([...program, answer(ENOSYS)])
  made.set(machine, filter)
  return filter
}

/** Asked for by whoever begins, and again by the plan. */
const made = new Map<string, Uint8Array>()

function checksFor(numbers: Numbers): Instruction[] {
  const { keyrings, others, ioctl, socket, audit } = numbers
  const calls = [
    ...keyrings.map((call) => refused(call, EPERM)),
    ...others.map((call) => refused(call, ENOSYS)),
    when(ioctl, [
      load(SECOND_ARGUMENT),
      ...TERMINAL_INPUT.flatMap((request) => refused(request, EPERM)),
      ALLOW,
    ]),
    when(socket, [
      load(FIRST_ARGUMENT),
      ...FAMILIES.flatMap((family) => [unlessEqualSkip(family, 1), ALLOW]),
      answer(EAFNOSUPPORT),
    ]),
  ].flat()
  const x32: Instruction[] = audit === X86_64.audit ? [[0x35, 0, 1, X32], answer(ENOSYS)] : []
  return [load(NUMBER), ...x32, ...calls, ALLOW]
}

function when(value: number, then: readonly Instruction[]): Instruction[] {
  return [unlessEqualSkip(value, then.length), ...then]
}

function refused(value: number, error: number): Instruction[] {
  return when(value, [answer(error)])
}

/** `struct sock_filter`: both kinds of machine are little-endian. */
function bytesOf(program: readonly Instruction[]): Uint8Array {
  const bytes = Buffer.alloc(program.length * 8)
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(ifTrue, index * 8 + 2)
    bytes.writeUInt8(ifFalse, index * 8 + 3)
    bytes.writeUInt32LE(value, index * 8 + 4)
  }
  return bytes
}
