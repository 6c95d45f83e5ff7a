// sizes: 10000 200000 1000000
exports.handler = async (event) => {
  const values = [];
  let seed = 7;
  for (let i = 0; i < event.n; i += 1) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    values.push(seed);
  }
  values.sort((a, b) => a - b);
  return values.slice(0, 10);
};
