// Runs one function once: node run.js FILE N FOLDER URL MODE. Prints what it took as one line of JSON. MODE is `run`,
// or `prepare` to make its input. The HTTP server is loaded, as in an instance that serves.
require('node:http');
const fs = require('node:fs');
const path = require('node:path');

// How long the main thread could have run, while others had the processors.
function waitedUs() {
  return Math.floor(Number(fs.readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1000);
}

function storageBytes() {
  const text = fs.readFileSync('/proc/self/io', 'utf8');
  const count = (name) => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)[1]);
  return count('read_bytes') + count('write_bytes');
}

function networkBytes() {
  const lines = fs.readFileSync('/proc/self/net/dev', 'utf8').split('\n').filter((line) => line.includes(':'));
  return lines.reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[1]), 0);
}

async function main() {
  const [file, n, folder, url, mode] = process.argv.slice(2);
  const event = { n: Number(n), folder, url };
  const fn = require(path.resolve(file));
  if (mode === 'prepare') {
    if (fn.prepare) await fn.prepare(event);
    return;
  }
  const now = () => {
    const used = process.cpuUsage();
    return [Number(process.hrtime.bigint() / 1000n), used.user + used.system, waitedUs(), storageBytes(), networkBytes()];
  };
  const before = now();
  await fn.handler(event);
  const [wall, cpu, waited, storage, network] = now().map((late, at) => late - before[at]);
  const took = { cpu_us: cpu, wall_us: Math.max(wall - waited, Math.min(wall, cpu), 1), storage_bytes: storage, network_bytes: network };
  console.log(JSON.stringify({ ...took, peak_rss_bytes: process.resourceUsage().maxRSS * 1024 }));
}

main();
