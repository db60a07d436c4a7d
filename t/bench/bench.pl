#!/usr/bin/perl

# make bench: measures this module, nchan, and the floors below them, one
# after the other, in rounds, and writes what came out to stdout and, as
# Markdown, to build/bench/table.md.
#
#     BENCH='a1 a32'    some of the measurements (@measures below)
#     PEERS='chat floor'
#     ROUNDS=5
#     SECONDS=1.5       of each measured piece

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Path ();

use lib dirname(Cwd::abs_path($0)) . '/lib';

use Bench::Noise;
use Bench::Peer qw(peer_names peer_title binary nginx slurp);
use Bench::Table qw(median figure table);

$| = 1;

chdir dirname(Cwd::abs_path($0)) . '/../..' or die $!;

$ENV{PATH} .= ':/usr/local/sbin:/usr/sbin:/sbin';
$ENV{LC_ALL} = 'C';

# a load generator that is busier than this may have been the bottleneck
use constant LOAD_LIMIT => 0.85;

my $cores = () = slurp('/proc/cpuinfo') =~ /^processor\s/mg;

# where the server is, and where the load
my ($server_cpus, $load_cpus) = ('0', '1');
my $all_cpus = '0-' . ($cores - 1);

my @deliveries = (
    [ rate    => 'deliveries/s',             'times the floor' ],
    [ per_cpu => 'per second of server CPU', 'times the floor' ],
);

my @latencies = (
    [ p50  => 'p50, µs',   'times the floor' ],
    [ p99  => 'p99, µs',   'times the floor' ],
    [ p999 => 'p99.9, µs', 'times the floor' ],
);

# name, what it is, and either the load's arguments or a function
my @measures = (
    {
        name    => 'a1',
        title   => 'One channel, 1,000 subscribers, 128 B, one message in '
                   . 'flight',
        load    => [qw(subs=1000 inflight=1)],
        columns => \@deliveries,
        wanted  => { rate => '0.95 or more' },
    },
    {
        name    => 'a32',
        title   => 'The same, 32 in flight, from one connection that '
                   . 'pipelines',
        load    => [qw(subs=1000 inflight=32)],
        columns => \@deliveries,
        wanted  => { rate => '16 or more' },
    },
    {
        name    => 'b',
        title   => '10,000 subscribers over 1,000 channels, 64 in flight, '
                   . 'from 8 connections',
        load    => [qw(subs=10000 channels=1000 inflight=64 lanes=8)],
        columns => \@deliveries,
        wanted  => { rate => '0.90 or more' },
    },
);


my %chosen = (
    rounds  => $ENV{ROUNDS} || 5,
    seconds => $ENV{SECONDS} || 1.5,
    peers   => [ chosen_peers() ],
);


sub chosen_peers {
    my %want = map { $_ => 1 } split ' ', $ENV{PEERS} || 'chat nchan floor';

    @want{qw(send writev)} = (1, 1) if delete $want{floor};

    my @peers = grep { delete $want{$_} } peer_names();

    die "no such peers: @{[keys %want]}\n" if %want;

    return @peers;
}


# All, or those that BENCH names: "a" is a1 and a32.

sub chosen_measures {
    my @want = split ' ', $ENV{BENCH} || '';
    my %found;

    return grep { !$_->{extra} } @measures if !@want;

    for my $want (@want) {
        my @names = grep { /^\Q$want\E\d*$/ } map { $_->{name} } @measures;

        die "no such measurement: $want\n" if !@names;

        @found{@names} = @names;
    }

    return grep { $found{$_->{name}} } @measures;
}


# The load's figures; what it finds wrong ends the benchmark.

sub load {
    my ($server, $cpus, @args) = @_;

    my $kind = $server->{peer} =~ /^(?:chat|nchan)$/ ? $server->{peer}
                                                     : 'floor';
    my $pids = join(',', $server->pids);

    open my $pipe, '-|', 'taskset', '-c', $cpus,
         binary('load', '-lcrypto'), "kind=$kind", "port=$server->{port}",
         "pids=$pids", "seconds=$chosen{seconds}", @args
        or die "no load generator: $!\n";

    my %figures = map { /^(\w+) (\S+)$/ ? ($1, $2) : () } <$pipe>;

    close $pipe
        or die "\nFAILED: $server->{peer}, @args: see the load's words above."
               . "\nNothing that it counted counts.\n";

    return \%figures;
}


sub measure {
    my ($measure, $peer) = @_;

    return $measure->{run}->($peer) if $measure->{run};

    my $server = Bench::Peer->start(peer => $peer, cpus => $server_cpus);
    my $figures = load($server, $load_cpus, @{$measure->{load}});
    $server->stop;

    return $figures;
}


sub peers_of {
    my ($measure) = @_;

    my %all = map { $_ => 1 } @{$measure->{peers} || [ peer_names() ]};

    return grep { $all{$_} } @{$chosen{peers}};
}


# Each round in another order, so that none always follows the same one.

sub run_round {
    my ($round, $results, @list) = @_;

    for my $measure (@list) {
        my @peers = peers_of($measure);

        for (1 .. $round % (@peers || 1)) {
            push @peers, shift @peers;
        }

        for my $peer (@peers) {
            print STDERR "\rround $round, $measure->{name}, $peer        "
                if -t STDERR;

            push @{$results->{$measure->{name}}{$peer}},
                 measure($measure, $peer);
        }
    }

    print STDERR "\r", " " x 60, "\r" if -t STDERR;
}


# Ratios are those of a round, since the machine is another in each.

sub ratios {
    my ($measure, $runs, $peer, $metric) = @_;

    my $base = $runs->{$measure->{base} || 'send'} or return;

    return map {
        my ($mine, $theirs) = ($runs->{$peer}[$_]{$metric},
                               $base->[$_]{$metric});
        defined $mine && $theirs ? $mine / $theirs : ()
    } 0 .. $#{$runs->{$peer}};
}


sub cells {
    my ($measure, $runs, $peer) = @_;

    my @cells;

    for my $column (@{$measure->{columns}}) {
        my ($metric, undef, $ratio) = @$column;

        push @cells, figure(map { $_->{$metric} } @{$runs->{$peer}});
        next if !$ratio;

        my $cell = figure(ratios($measure, $runs, $peer, $metric));
        my $wanted = $measure->{wanted}{$metric};

        $cell .= ", wanted: $wanted" if $peer eq 'chat' && $wanted;
        push @cells, $cell;
    }

    my $share = median(map { $_->{load_share} } @{$runs->{$peer}});

    push @cells, defined $share
                 ? sprintf('%.0f %%%s', $share * 100,
                           $share > LOAD_LIMIT ? ' (!)' : '')
                 : '–';

    return @cells;
}


sub section {
    my ($measure, $runs) = @_;

    my @head = map { $_->[2] ? @$_[1, 2] : $_->[1] } @{$measure->{columns}};
    my @peers = grep { $runs->{$_} } peer_names(), 'sqlite';

    return if !@peers;

    return "**$measure->{name}** $measure->{title}\n\n"
           . table([ '', @head, 'load' ],
                   map { [ peer_title($_), cells($measure, $runs, $_) ] }
                   @peers)
           . ($measure->{note} ? "\n$measure->{note}\n" : '');
}


sub machine {
    my ($model) = slurp('/proc/cpuinfo') =~ /^model name\s*: (.*)$/m;
    my ($kernel) = split /\n/, slurp('/proc/sys/kernel/osrelease');
    my ($memory) = slurp('/proc/meminfo') =~ /^MemTotal:\s+(\d+)/m;
    my ($version) = `nginx -v 2>&1` =~ m{nginx/(\S+)};
    my $commit = `git rev-parse --short HEAD 2>/dev/null` || '';

    chomp $commit;

    return sprintf("%d cores of %s, %.0f GB, Linux %s, nginx %s%s; server on "
                   . "core %s, load on core %s; %d rounds of %s s; figures "
                   . "are medians, with the range behind them; a ratio is the "
                   . "median of the rounds' ratios.\n"
                   . "\"load\" is how busy the load generator's core was: "
                   . "above %.0f %% it may have been what was measured.\n",
                   $cores, $model || 'an unknown model', $memory / 1048576,
                   $kernel, $version || '?', $commit && ", module at $commit",
                   $server_cpus, $load_cpus, $chosen{rounds},
                   $chosen{seconds}, LOAD_LIMIT * 100);
}


sub write_table {
    my ($results, $noise, @list) = @_;

    my @parts = (machine(), $noise->report,
                 map { section($_, $results->{$_->{name}}) } @list);
    my $text = join("\n", grep { defined } @parts);

    print "\n$text";

    open my $fh, '>', 'build/bench/table.md' or die "table.md: $!\n";
    print $fh $text;
    close $fh or die $!;
}


$SIG{INT} = $SIG{TERM} = sub { die "\nstopped\n" };

$cores > 1 or die "a server and its load need two cores\n";

File::Path::make_path('build/bench');
binary('load', '-lcrypto');
binary('floor', '-lcrypto');

my @list = chosen_measures();
my $noise = Bench::Noise->new;
my %results;

for my $round (1 .. $chosen{rounds}) {
    $noise->round_begins($server_cpus, $load_cpus);
    run_round($round, \%results, @list);
    $noise->round_ends($cores);
}

write_table(\%results, $noise, @list);
