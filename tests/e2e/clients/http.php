<?php
// SPDX-License-Identifier: Apache-2.0
// http.php PORT CA [1.2]
$options = ['cafile' => $argv[2], 'peer_name' => 'localhost'];
if (isset($argv[3])) {
    $options['crypto_method'] = STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT;
}
$context = stream_context_create(['ssl' => $options]);
$stream = stream_socket_client("ssl://127.0.0.1:$argv[1]", $errno, $error, 30,
                               STREAM_CLIENT_CONNECT, $context);
if (!$stream) {
    echo "failed: $error\n";
    exit(1);
}
fwrite($stream, "GET / HTTP/1.0\r\n\r\n");
echo fread($stream, 12), "\n";
