// sizes: 1000 20000 100000
const fs = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');

exports.prepare = (event) => {
  const lines = [];
  for (let i = 0; i < event.n; i += 1) lines.push(`${i} GET /items/${(i * 7919) % 10007} 200`);
  fs.writeFileSync(path.join(event.folder, 'in.log'), lines.join('\n'));
};

exports.handler = async (event) => {
  const text = fs.readFileSync(path.join(event.folder, 'in.log'));
  const packed = zlib.gzipSync(text);
  fs.writeFileSync(path.join(event.folder, 'out.gz'), packed);
  return packed.length;
};
