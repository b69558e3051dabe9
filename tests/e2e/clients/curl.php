<?php
// SPDX-License-Identifier: Apache-2.0
// curl.php PORT: an extension that PHP opens with RTLD_DEEPBIND.
$curl = curl_init("https://127.0.0.1:{$argv[1]}/");
curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_SSL_VERIFYPEER => false,
                          CURLOPT_SSL_VERIFYHOST => 0]);
echo curl_exec($curl) === false ? curl_error($curl) : "answered", "\n";
