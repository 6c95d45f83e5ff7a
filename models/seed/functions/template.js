// sizes: 1000 20000 200000
const escape = (text) => text.replace(/</g, '&lt;').replace(/>/g, '&gt;');

exports.handler = async (event) => {
  let page = '<table>';
  for (let i = 0; i < event.n; i += 1) {
    page += '<tr>';
    for (let j = 0; j < 4; j += 1) page += `<td>${escape(`cell <${i * j}>`)}</td>`;
    page += '</tr>';
  }
  return page + '</table>';
};
