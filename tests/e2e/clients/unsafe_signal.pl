# SPDX-License-Identifier: Apache-2.0
# unsafe_signal.pl PORT GOOD: a timeout leaves SSL_connect by longjmp(), because handlers run at once
# (PERL_SIGNALS=unsafe) and die; then it connects to port GOOD, and waits forever.
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
