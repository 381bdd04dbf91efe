/** One small program a language: asks for `URL` with `AUTHORIZATION`, and prints what came. */
export const PROGRAMS: Readonly<Record<string, string>> = {
  'ask-urllib.py': `
import os, urllib.request
request = urllib.request.Request(os.environ['URL'], headers={'Authorization': os.environ['AUTHORIZATION']})
print(urllib.request.urlopen(request, timeout=30).read().decode())
`,
  'ask-requests.py': `
import os, requests
print(requests.get(os.environ['URL'], headers={'Authorization': os.environ['AUTHORIZATION']}, timeout=30).text)
`,
  'ask-httpx.py': `
import os, httpx
print(httpx.get(os.environ['URL'], headers={'Authorization': os.environ['AUTHORIZATION']}, timeout=30).text)
`,
  'ask-aiohttp.py': `
import asyncio, os, aiohttp
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(os.environ['URL'], headers={'Authorization': os.environ['AUTHORIZATION']}) as answer:
            print(await answer.text())
asyncio.run(main())
`,
  'fetch.mjs': `
const { URL: url, AUTHORIZATION: authorization } = process.env
console.log(await (await fetch(url, { headers: { authorization } })).text())
`,
  'https.mjs': `
import { get } from 'node:https'
const { URL: url, AUTHORIZATION: authorization } = process.env
get(url, { headers: { authorization } }, async (answer) => {
  for await (const piece of answer) process.stdout.write(piece)
})
`,
  'undici.mjs': `
import { EnvHttpProxyAgent, request } from 'undici'
const { URL: url, AUTHORIZATION: authorization } = process.env
const { body } = await request(url, { headers: { authorization }, dispatcher: new EnvHttpProxyAgent() })
console.log(await body.text())
`,
  'axios.mjs': `
import axios from 'axios'
const { URL: url, AUTHORIZATION: authorization } = process.env
console.log(JSON.stringify((await axios.get(url, { headers: { authorization } })).data))
`,
  'node-fetch.mjs': `
import fetch from 'node-fetch'
const { URL: url, AUTHORIZATION: authorization } = process.env
console.log(await (await fetch(url, { headers: { authorization } })).text())
`,
  'got.mjs': `
import got from 'got'
const { URL: url, AUTHORIZATION: authorization } = process.env
console.log(await got(url, { headers: { authorization } }).text())
`,
  'fetch.ts': `
const text = (name: string) => (globalThis as any).Deno?.env.get(name) ?? process.env[name]
console.log(await (await fetch(text('URL'), { headers: { authorization: text('AUTHORIZATION') } })).text())
`,
  'ask.rb': `
require 'net/http'
require 'uri'
uri = URI(ENV['URL'])
Net::HTTP.start(uri.host, uri.port, use_ssl: true) do |http|
  puts http.get(uri.path, 'Authorization' => ENV['AUTHORIZATION']).body
end
`,
  'lwp.pl': `
use LWP::UserAgent;
my $answer = LWP::UserAgent->new->get($ENV{URL}, Authorization => $ENV{AUTHORIZATION});
die $answer->status_line unless $answer->is_success;
print $answer->content;
`,
  'curl.php': `<?php
$curl = curl_init(getenv('URL'));
curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_HTTPHEADER => ['Authorization: ' . getenv('AUTHORIZATION')]]);
echo curl_exec($curl), curl_error($curl);
`,
  'ask.go': `package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
	request, _ := http.NewRequest("GET", os.Getenv("URL"), nil)
	request.Header.Set("Authorization", os.Getenv("AUTHORIZATION"))
	answer, err := http.DefaultClient.Do(request)
	if err != nil { fmt.Println(err); os.Exit(1) }
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(string(body))
}
`,
  'Ask.java': `
import java.net.*;
import java.net.http.*;
public class Ask {
  public static void main(String[] args) throws Exception {
    var url = URI.create(System.getenv("URL"));
    var authorization = System.getenv("AUTHORIZATION");
    var request = HttpRequest.newBuilder(url).header("Authorization", authorization).build();
    System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
    var connection = url.toURL().openConnection();
    connection.setRequestProperty("Authorization", authorization);
    System.out.println(new String(connection.getInputStream().readAllBytes()));
  }
}
`,
}
