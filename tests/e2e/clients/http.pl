# SPDX-License-Identifier: Apache-2.0
# http.pl PORT CA
use strict;
use warnings;
use IO::Socket::SSL;

my $tls = IO::Socket::SSL->new(
    PeerAddr => '127.0.0.1', PeerPort => $ARGV[0],
    SSL_ca_file => $ARGV[1], SSL_hostname => 'localhost', SSL_verifycn_name => 'localhost',
    SSL_verifycn_scheme => 'http')
    or die "failed: $SSL_ERROR\n";
print $tls "GET / HTTP/1.0\r\n\r\n";
read($tls, my $answer, 12);
print "$answer\n";
