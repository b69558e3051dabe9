// SPDX-License-Identifier: Apache-2.0
// node.js PORT: for a Node.js that links the system's OpenSSL.
const tls = require('tls');
const socket = tls.connect({port: process.argv[2], host: '127.0.0.1', rejectUnauthorized: false}, () => {
    console.log('connected', socket.getProtocol());
    socket.end();
});
