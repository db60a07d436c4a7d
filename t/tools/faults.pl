#!/usr/bin/perl

# faults.pl: one test for all that valgrind (CHAT_VALGRIND, see
# t/lib/Chat/Server.pm) or the sanitizers (CHAT_ASAN) have logged.

use strict;
use warnings;

use Test::More;

my $logs = $ENV{CHAT_ASAN} ? 'build/asan/log.*' : 'build/valgrind/*.log';
my @logs = glob($logs);
my @bad;

for my $log (@logs) {
    open my $fh, '<', $log or die "open $log: $!";
    my $text = do { local $/; <$fh> };

    next if !defined $text || $text !~ /\S/;
    next if !$ENV{CHAT_ASAN} && $text !~ /^==\d+== /m;

    push @bad, $log;
    diag("$log:\n", grep { defined } ($text =~ /(.*\n)/g)[0 .. 39]);
}

ok(@logs > 0, 'nginx ran under valgrind') if $ENV{CHAT_VALGRIND};
is("@bad", '', "nothing is in $logs");
done_testing();
