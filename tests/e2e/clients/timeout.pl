# SPDX-License-Identifier: Apache-2.0
# timeout.pl PORT: IO::Socket::SSL over a blocking socket that has a timeout (SO_RCVTIMEO).
use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::SSL;
use Socket;

my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die $@;
setsockopt($socket, SOL_SOCKET, SO_RCVTIMEO, pack("l!l!", 0, 700000)) or die $!;
IO::Socket::SSL->start_SSL($socket, SSL_verify_mode => 0) or die "failed: $SSL_ERROR\n";
