# SPDX-License-Identifier: Apache-2.0
# queue.pl PORT: between the call and Net::SSLeay::get_error, another OpenSSL function fails.
use strict;
use warnings;
use IO::Socket::INET;
use Net::SSLeay;

my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die $@;
$socket->blocking(0);
my $context = Net::SSLeay::CTX_new();
my $tls = Net::SSLeay::new($context);
Net::SSLeay::set_fd($tls, fileno($socket));
my $result = Net::SSLeay::connect($tls);
Net::SSLeay::CTX_load_verify_locations($context, "/nonexistent", "");
my $error = Net::SSLeay::get_error($tls, $result);
Net::SSLeay::free($tls);
die "error $error\n";
