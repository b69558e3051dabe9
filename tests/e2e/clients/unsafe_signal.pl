# SPDX-License-Identifier: Apache-2.0
# unsafe_signal.pl PORT GOOD: a timeout that leaves SSL_connect by longjmp(), as die does in a handler that runs
# at once (PERL_SIGNALS=unsafe); then another connection, to port GOOD, and it waits for ever.
use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::SSL;

sub shake {
    my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $_[0]) or die $@;
    IO::Socket::SSL->start_SSL($socket, SSL_verify_mode => 0) or die "failed: $SSL_ERROR\n";
}

eval {
    local $SIG{ALRM} = sub { die "timeout\n" };
    alarm 1;
    shake($ARGV[0]);
};
alarm 0;
die "no timeout" unless $@ eq "timeout\n";
$| = 1;
my $kept = shake($ARGV[1]);
print "done\n";
sleep;
