// Tools that reach a server over HTTPS through the lease's proxy, or a database at its own address.
import type { Tool } from './tool.ts'
import { SITE } from './tools-site.ts'

const HELLO = `https://${SITE}/hello`
const SAYS = 'hello GET'

const node = (code: string) => `node --input-type=module -e ${quoted(code)}`
const quoted = (code: string) => `'${code.replaceAll("'", `'\\''`)}'`

export const CLIENTS: readonly Tool[] = [
  {
    name: 'curl',
    needs: ['curl'],
    code: `curl -sS ${HELLO}`,
    shows: SAYS,
    always: true,
  },
  { name: 'wget', needs: ['wget'], code: `wget -nv -O- ${HELLO} 2>&1`, shows: SAYS, always: true },
  {
    name: 'git clone over HTTPS',
    needs: ['git'],
    code: `git clone -q https://${SITE}/git/shop.git /tmp/shop && cat /tmp/shop/page.html`,
    shows: 'a page',
    always: true,
  },
  {
    name: 'git push over HTTPS',
    needs: ['git'],
    code: `git clone -q https://${SITE}/git/shop.git /tmp/shop && cd /tmp/shop && git commit -q --allow-empty -m more && git push -q origin HEAD:refs/heads/of-$(id -u) && git ls-remote`,
    shows: 'refs/heads/of-',
    always: true,
  },
  {
    name: 'npm install and npm ci from a registry',
    needs: ['npm'],
    code: `mkdir -p /tmp/n && cd /tmp/n && echo '{"name":"n","version":"1.0.0"}' > package.json && export npm_config_registry=https://${SITE}/npm/ npm_config_audit=false npm_config_fund=false && npm install far >/dev/null && rm -rf node_modules && npm ci >/dev/null && node -p 'require("far")'`,
    shows: 'the far part',
    always: true,
  },
  {
    name: 'fetch of Node',
    needs: ['node'],
    code: node(`console.log(await (await fetch('${HELLO}')).text())`),
    shows: SAYS,
    note: 'Node 22.21, 24.0 or later; older ones obey no variable',
    always: true,
  },
  {
    name: 'https of Node',
    needs: ['node'],
    code: node(
      `import { get } from 'node:https'; get('${HELLO}', (a) => a.on('data', (d) => console.log(String(d))))`,
    ),
    shows: SAYS,
    note: 'Node 22.21, 24.5 or later',
  },
  {
    name: 'undici',
    needs: ['node', 'app/node_modules/undici'],
    code: `cd app && ${node(`import { EnvHttpProxyAgent, request } from 'undici'; const { body } = await request('${HELLO}', { dispatcher: new EnvHttpProxyAgent() }); console.log(await body.text())`)}`,
    shows: SAYS,
    note: 'with `EnvHttpProxyAgent`, which it does not take by itself',
  },
  {
    name: 'axios',
    needs: ['node', 'app/node_modules/axios'],
    code: `cd app && ${node(`import axios from 'axios'; console.log((await axios.get('${HELLO}')).data)`)}`,
    shows: SAYS,
  },
  {
    name: 'urllib of Python',
    needs: ['/usr/bin/python3'],
    code: `/usr/bin/python3 -c "import urllib.request as r; print(r.urlopen('${HELLO}').read().decode())"`,
    shows: SAYS,
    always: true,
  },
  {
    name: 'requests of Python',
    needs: ['/usr/bin/python3', '/usr/lib/python3/dist-packages/requests'],
    code: `/usr/bin/python3 -c "import requests; print(requests.get('${HELLO}').text)"`,
    shows: SAYS,
  },
  {
    name: 'net/http of Go, built and run inside',
    needs: ['/usr/local/go/bin/go'],
    code: `mkdir -p /tmp/go && cd /tmp/go && printf 'package main\\nimport ("fmt";"io";"net/http")\\nfunc main() { a, e := http.Get("${HELLO}"); if e != nil { panic(e) }; b, _ := io.ReadAll(a.Body); fmt.Println(string(b)) }\\n' > main.go && GOFLAGS=-mod=mod /usr/local/go/bin/go run main.go`,
    shows: SAYS,
  },
  {
    name: 'HttpClient of Java',
    needs: ['java', 'javac'],
    code: `mkdir -p /tmp/j && cd /tmp/j && printf 'import java.net.URI;import java.net.http.*;class Get { public static void main(String[] a) throws Exception { System.out.println(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create("${HELLO}")).build(), HttpResponse.BodyHandlers.ofString()).body()); } }' > Get.java && java Get.java`,
    shows: SAYS,
    note: 'by `JAVA_TOOL_OPTIONS`, of which Java says on standard error that it has found them',
  },
  {
    name: 'Net::HTTP of Ruby',
    needs: ['ruby'],
    code: `ruby -rnet/http -e 'puts Net::HTTP.get(URI("${HELLO}"))'`,
    shows: SAYS,
  },
  {
    name: 'PHP with curl',
    needs: ['php'],
    code: `php -r '$c = curl_init("${HELLO}"); curl_setopt($c, CURLOPT_RETURNTRANSFER, 1); echo curl_exec($c);'`,
    shows: SAYS,
  },
  {
    name: "PHP's own streams",
    needs: ['php'],
    code: `php -r 'echo file_get_contents("${HELLO}");' 2>&1`,
    shows: SAYS,
    doesNot: 'they obey no variable, so nothing of theirs leaves; use the curl extension',
  },
  {
    name: 'kubectl',
    needs: ['kubectl'],
    code: `kubectl --server=https://${SITE} --token=x get --raw /version`,
    shows: 'v1.30.0',
    note: 'a kubeconfig that pins its own CA refuses the proxy: use the one that comes with the lease',
  },
  {
    name: 'aws',
    needs: ['/usr/bin/aws'],
    code: `AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=y AWS_REGION=us-east-1 /usr/bin/aws --endpoint-url https://${SITE}/ sts get-caller-identity --output text`,
    shows: '123456789012',
  },
  {
    name: 'gh',
    needs: ['gh'],
    code: `GH_ENTERPRISE_TOKEN=x GH_HOST=${SITE} gh api user`,
    shows: 'octocat',
  },
  {
    name: 'psql',
    needs: ['psql', 'service:postgres'],
    code: 'psql -XAt -h 127.0.0.1 -p "$PGPORT" -U postgres -c "select 41+1" postgres',
    shows: '42',
    always: true,
  },
  {
    name: 'redis-cli',
    needs: ['redis-cli', 'service:redis'],
    code: 'redis-cli -h 127.0.0.1 -p 6379 set k works >/dev/null && redis-cli get k',
    shows: 'works',
  },
  {
    name: 'a dev server that reloads what changed',
    needs: ['node'],
    code: `cd app && echo "require('http').createServer((q, a) => a.end('before')).listen(8097)" > dev.cjs && (node --watch dev.cjs >/dev/null 2>&1 & p=$!; say() { for i in $(seq 50); do curl -s http://127.0.0.1:8097/ | grep "$1" && return; sleep 0.1; done; }; say before; sed -i s/before/after/ dev.cjs; say after; kill $p)`,
    shows: 'after',
    always: true,
  },
  {
    name: 'headless Chromium on a page of a dev server',
    needs: ['chromium'],
    code: `cd app && echo '<p id=p></p><script>p.textContent = 6 * 7 + " from script"</script>' > index.html && (/usr/bin/python3 -m http.server 8096 --bind 127.0.0.1 >/dev/null 2>&1 & p=$!; for i in $(seq 50); do curl -s http://127.0.0.1:8096/ >/dev/null && break; sleep 0.1; done; chromium --headless $([ "$(id -u)" = 0 ] && echo --no-sandbox) --disable-gpu --user-data-dir=/tmp/c --dump-dom http://127.0.0.1:8096/ 2>/dev/null; kill $p)`,
    shows: '42 from script',
    note: 'as root only with `--no-sandbox`, as everywhere',
  },
  {
    name: 'headless Chromium through the proxy',
    needs: ['chromium', 'certutil'],
    code: `mkdir -p ~/.pki/nssdb && certutil -N -d sql:$HOME/.pki/nssdb --empty-password && certutil -A -d sql:$HOME/.pki/nssdb -n lease -t C,, -i "$NODE_EXTRA_CA_CERTS" && chromium --headless $([ "$(id -u)" = 0 ] && echo --no-sandbox) --disable-gpu --user-data-dir=/tmp/c --proxy-server="$HTTPS_PROXY" --dump-dom ${HELLO} 2>/dev/null`,
    shows: SAYS,
    note: 'it knows neither the variables nor the roots: `--proxy-server` and `certutil -A` with `$NODE_EXTRA_CA_CERTS`',
  },
]
