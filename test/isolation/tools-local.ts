// Tools of everyday work that need no network.
import type { Tool } from './tool.ts'

/** CAP_SETFCAP is asked for (user_namespaces(7)), and a task has no right at all. */
const NO_NAMESPACE =
  'root without rights may not make a user namespace, and so no sandbox of its own'

export const LOCAL: readonly Tool[] = [
  { name: 'sh', needs: ['sh'], code: 'echo works | tr a-z A-Z', shows: 'WORKS' },
  {
    name: 'bash with start-up files',
    needs: ['bash'],
    code: 'bash -ic "echo \\$GREETING; ll >/dev/null && echo alias" 2>&1',
    shows: 'alias',
  },
  {
    name: 'git status',
    needs: ['git'],
    code: 'git status --short src; git log --oneline | wc -l',
    shows: '2',
  },
  {
    name: 'git commit, as the person',
    needs: ['git'],
    code: 'echo x > new.txt && git add new.txt && git commit -qm new && git log -1 --format=%an',
    shows: 'A Person',
    always: true,
  },
  {
    name: 'git branch, checkout, stash, merge',
    needs: ['git'],
    code: 'git checkout -qb b && echo y > b.txt && git add b.txt && git commit -qm b && git checkout -q - && git merge -q b && echo z >> new.txt && git stash -q && git stash pop -q && echo merged',
    shows: 'merged',
  },
  {
    name: 'git clone and push to a folder',
    needs: ['git'],
    code: 'git clone -q --bare . /tmp/bare.git && git push -q /tmp/bare.git HEAD:refs/heads/pushed && git -C /tmp/bare.git branch',
    shows: 'pushed',
  },
  { name: 'node', needs: ['node'], code: 'node -e "console.log(6*7)"', shows: '42' },
  {
    name: 'npm install of a local package, and npm ci',
    needs: ['npm'],
    code: 'cd app && npm install --offline --no-audit --no-fund >/dev/null 2>&1; rm -rf node_modules; npm ci --offline --no-audit --no-fund >/dev/null && node -p "require(\'part\')"',
    shows: 'the part',
  },
  {
    name: 'npm scripts',
    needs: ['npm'],
    code: 'cd app && npm run -s hello',
    shows: 'hello from npm',
  },
  {
    name: 'python and a virtual environment',
    needs: ['python3'],
    code: 'PATH=/usr/bin:$PATH python3 -m venv --without-pip /tmp/v && /tmp/v/bin/python -c "print(6*7)"',
    shows: '42',
  },
  {
    name: 'gcc',
    needs: ['gcc'],
    code: 'printf "#include <stdio.h>\\nint main(){puts(\\"compiled\\");}" > /tmp/a.c && gcc -g -o /tmp/a /tmp/a.c && /tmp/a',
    shows: 'compiled',
  },
  {
    name: 'make',
    needs: ['make'],
    code: 'printf "all:\\n\\t@echo made\\n" > /tmp/Makefile && make -s -C /tmp',
    shows: 'made',
  },
  {
    name: 'gdb on a child of its own',
    needs: ['gdb', 'gcc'],
    code: 'printf "#include <stdio.h>\\nint main(){puts(\\"x\\");}" > /tmp/g.c && gcc -g -o /tmp/g /tmp/g.c && gdb -nx -q -batch -ex "break main" -ex run -ex bt /tmp/g 2>&1',
    shows: '#0  main',
    always: true,
  },
  {
    name: 'strace',
    needs: ['strace'],
    code: 'strace -f -e trace=openat true 2>&1 | tail -1',
    shows: 'exited with 0',
  },
  {
    name: 'tar of files of other owners',
    needs: ['tar'],
    code: 'cd /tmp && mkdir t && echo x > t/x && tar --owner=1234 --group=1234 -cf t.tar t && rm -r t && tar -xf t.tar && cat t/x',
    shows: 'x',
  },
  {
    name: 'tmux',
    needs: ['tmux'],
    code: 'tmux -f /dev/null new-session -d "sleep 5" && tmux ls',
    shows: '1 windows',
    always: true,
  },
  {
    name: 'vim',
    needs: ['vim'],
    code: 'vim -es -u NONE -c "put =\'edited\'" -c "wq! /tmp/v.txt" </dev/null; cat /tmp/v.txt',
    shows: 'edited',
  },
  {
    name: 'a pseudo-terminal of its own',
    needs: ['script'],
    code: 'script -qec "tty" /dev/null',
    shows: '/dev/pts/',
  },
  {
    name: 'sqlite',
    needs: ['python3'],
    code: "/usr/bin/python3 -c \"import sqlite3; c=sqlite3.connect('/tmp/x.db'); print(c.execute('select 41+1').fetchone()[0])\"",
    shows: '42',
  },
  {
    name: 'a nested name space',
    notForRoot: NO_NAMESPACE,
    needs: ['unshare'],
    code: 'unshare -Urmn sh -c "mount -t tmpfs x /tmp && echo nested"',
    shows: 'nested',
  },
  {
    name: 'a nested bubblewrap with its own processes',
    notForRoot: NO_NAMESPACE,
    needs: ['bwrap'],
    code: 'bwrap --ro-bind / / --dev /dev --tmpfs /tmp --unshare-pid --unshare-net --die-with-parent echo nested',
    shows: 'nested',
  },
  {
    name: 'a nested bubblewrap with its own /proc',
    notForRoot: NO_NAMESPACE,
    needs: ['bwrap'],
    code: 'bwrap --ro-bind / / --dev /dev --proc /proc --unshare-pid echo nested 2>&1',
    shows: 'nested',
  },
  {
    name: 'a server and a client on the loopback',
    needs: ['python3'],
    code: '(/usr/bin/python3 -m http.server 8099 --bind 127.0.0.1 >/dev/null 2>&1 & p=$!; for i in 1 2 3 4 5 6 7 8 9; do sleep 0.2; curl -s http://127.0.0.1:8099/src/ && break; done; kill $p)',
    shows: 'main.js',
  },
  {
    name: 'background jobs and pipes',
    needs: ['sh'],
    code: 'sleep 0.1 & wait; seq 1000 | sort -n | tail -1',
    shows: '1000',
  },
  {
    name: 'the clock, the host name and who one is',
    needs: ['id'],
    code: 'date +%Y >/dev/null && hostname >/dev/null && id -un && echo known',
    shows: 'known',
  },
]
