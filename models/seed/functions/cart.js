// sizes: 1000 30000 200000
exports.handler = async (event) => {
  const items = Array.from({ length: event.n }, (_, i) => ({ id: i, price: i * 1.5, name: `item ${i}` }));
  const text = JSON.stringify(items);
  let total = 0;
  for (const item of JSON.parse(text)) total += item.price;
  return { total, bytes: text.length };
};
