// SPDX-License-Identifier: Apache-2.0
// node_server.js KEY CERTIFICATE: a server, and a client of it.
const fs = require('fs'), tls = require('tls');
const [key, cert] = process.argv.slice(2, 4).map((name) => fs.readFileSync(name));
const server = tls.createServer({key, cert}, (socket) => {
    console.log('server', socket.getProtocol());
    socket.end('x');
}).listen(0, '127.0.0.1', () => {
    let said;
    const client = tls.connect({port: server.address().port, host: '127.0.0.1', rejectUnauthorized: false}, () => {
        said = client.getProtocol();
    });
    client.on('data', () => client.end());
    client.on('close', () => {
        console.log('client', said);
        server.close(() => console.log('closed'));
    });
});
