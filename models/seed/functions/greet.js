// sizes: 1 2 3
exports.handler = async (event) => ({ status: 200, body: `hello ${event.n}` });
