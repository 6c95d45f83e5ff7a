// sizes: 6 8 9
function permutations(items) {
  if (items.length < 2) return [items];
  const all = [];
  items.forEach((item, at) => {
    const rest = [...items.slice(0, at), ...items.slice(at + 1)];
    for (const one of permutations(rest)) all.push([item, ...one]);
  });
  return all;
}

exports.handler = async (event) => permutations(Array.from({ length: event.n }, (_, i) => i)).length;
