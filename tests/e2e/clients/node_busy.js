// SPDX-License-Identifier: Apache-2.0
// node_busy.js KEY CERTIFICATE: a server, and clients of its own that come again and again. Says how many
// went well and how many did not, for each line that it is sent.
const fs = require('fs'), tls = require('tls');
const [key, cert] = process.argv.slice(2, 4).map((name) => fs.readFileSync(name));
let done = 0, wrong = 0;
const server = tls.createServer({key, cert}, (socket) => socket.end('x')).listen(0, '127.0.0.1', () => {
    const come = () => {
        let got = '';
        const client = tls.connect({port: server.address().port, host: '127.0.0.1', rejectUnauthorized: false,
            servername: 'busy.example'});
        client.on('data', (data) => { got += data; });
        client.on('error', (error) => { console.log(error.message); wrong++; });
        client.on('close', () => { got === 'x' ? done++ : wrong++; setTimeout(come, 2); });
    };
    come();
    come();
    console.log('ready');
});
process.stdin.on('data', () => console.log(done, wrong));
