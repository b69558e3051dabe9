// SPDX-License-Identifier: Apache-2.0
// node_told.js: connects to the port that it is told.
const tls = require('tls');
console.log('ready');
process.stdin.on('data', (port) => {
    tls.connect({port: Number(port), host: '127.0.0.1', rejectUnauthorized: false, servername: 'told.example'})
        .on('error', () => {});
});
