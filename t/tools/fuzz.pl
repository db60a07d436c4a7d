#!/usr/bin/perl

# fuzz.pl [NAME ...]: builds the fuzzers, t/fuzz/NAME.c, and runs each for
# FUZZ_SECONDS (3 without), as many at a time as there are processors.  One
# test for each.
#
# A fuzzer starts from its seeds, t/fuzz/corpus/NAME/, and from what earlier
# runs came upon, build/fuzz/corpus/NAME/.  An input that breaks it is left
# in build/fuzz/found/; build/fuzz/NAME FILE tries it again.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use File::Path ();
use POSIX ();
use Test::More;

chdir dirname(Cwd::abs_path($0)) . '/../..' or die $!;

my $dir = 'build/fuzz';
my $found = "$dir/found";

# long over one input, or a gigabyte, is a fault as well
my @limits = qw(-timeout=20 -rss_limit_mb=1024 -max_len=4096);

my $seconds = $ENV{FUZZ_SECONDS} || 3;

$seconds =~ /^\d+$/ or die "FUZZ_SECONDS=$seconds is not a number\n";

my @names = @ARGV ? @ARGV : map { basename($_, '.c') } glob('t/fuzz/*.c');

chomp(my $jobs = `nproc`);


sub start {
    my ($name) = @_;

    my $corpus = "$dir/corpus/$name";
    my $log = "$dir/$name.log";

    unlink $log;
    File::Path::make_path($corpus, $found);

    my @command = ("$dir/$name", "-max_total_time=$seconds", @limits,
                   "-artifact_prefix=$found/$name-");

    push @command, "-dict=t/fuzz/$name.dict" if -f "t/fuzz/$name.dict";
    push @command, $corpus, grep { -d } "t/fuzz/corpus/$name";

    my $pid = fork();
    defined $pid or die "fork: $!";

    if ($pid == 0) {
        open STDOUT, '>', $log or POSIX::_exit(127);
        open STDERR, '>&', \*STDOUT;

        { exec { $command[0] } @command }
        print "could not run $command[0]: $!\n";
        POSIX::_exit(127);
    }

    return $pid;
}


sub report {
    my ($name, $status) = @_;

    my $log = '';

    if (open my $fh, '<', "$dir/$name.log") {
        local $/;
        $log = <$fh>;
    }

    my ($runs) = $log =~ /^Done (\d+) runs/m;

    ok($status == 0 && $runs,
       "$name: " . ($runs || 0) . " inputs in $seconds s")
        and return;

    # what it says of itself, without the lines that show its progress
    my @lines = grep { !/^(?:#\d+|INFO:|\s+NEW_FUNC)/ } split /\n/, $log;
    splice(@lines, 60, @lines - 60, "... see $dir/$name.log") if @lines > 60;

    note("exit status $status");
    note($_) for @lines;
}


plan(tests => scalar @names);

system("$^X t/tools/unit.pl fuzz 1>&2") == 0
    or diag('not all fuzzers could be built');

my %running;

for my $name (@names) {
    if (keys %running >= $jobs) {
        my $pid = wait();
        report(delete $running{$pid}, $?);
    }

    $running{start($name)} = $name;
}

while (%running) {
    my $pid = wait();
    report(delete $running{$pid}, $?);
}
