# SPDX-License-Identifier: Apache-2.0
# http.rb PORT CA [1.2]
require "net/http"
require "openssl"

http = Net::HTTP.new("localhost", ARGV[0].to_i)
http.use_ssl = true
http.ca_file = ARGV[1]
http.open_timeout = http.ssl_timeout = http.read_timeout = nil
http.max_retries = 0
http.max_version = OpenSSL::SSL::TLS1_2_VERSION if ARGV[2]
begin
  puts http.get("/").code
rescue StandardError => e
  abort "#{e.class}: #{e.message}"
end
