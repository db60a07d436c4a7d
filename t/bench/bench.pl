#!/usr/bin/perl

# make bench: measures this module, nchan, and the floors below them, in
# rounds, by turns where a slice of time is enough, and writes what came out
# to stdout and, as Markdown, to build/bench/table.md.  What each measurement
# and each server is, and what came out, is in README.md beside this file.
#
#     BENCH='a1 a32'      some of the measurements (@measures below)
#     PEERS='chat floor'  some of the servers; "floor" is all floors
#     ROUNDS=9
#     BENCH_SECONDS=1     of each measured piece; of slices a part of that
#     CHAT_MODULE=FILE    another build of the module

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Path ();
use IO::Select;
use IPC::Open2 ();
use List::Util ();

use lib dirname(Cwd::abs_path($0)) . '/lib';

use Bench::Noise;
use Bench::Peer qw(peer_names peer_title is_ours binary nginx slurp);
use Bench::Table qw(median figure table);

$| = 1;

chdir dirname(Cwd::abs_path($0)) . '/../..' or die $!;

$ENV{PATH} .= ':/usr/local/sbin:/usr/sbin:/sbin';
$ENV{LC_ALL} = 'C';

# a load generator that is busier than this may have been the bottleneck
use constant LOAD_LIMIT => 0.85;

# in so many pieces, of seconds, all servers of a round are measured in turns:
# the machine is another one after a while, and this way for all
use constant { SLICES => 8, SLICE => 0.2 };

# what is not measured like this does not need as many rounds
use constant ROUNDS => 5;

# so many messages fill the ring of chat_zone's default, and, where they are
# stored, the WAL, which SQLite begins anew behind 1,000 pages: while these
# grow, the kernel has to make memory, which it does once
use constant { RING_FILL => 80_000, STORE_FILL => 50_000 };

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
        sliced  => 1,
        columns => \@deliveries,
        wanted  => { rate => '0.93 or more' },
    },
    {
        name    => 'a32',
        title   => 'The same, 32 in flight, from one connection that '
                   . 'pipelines',
        load    => [qw(subs=1000 inflight=32)],
        sliced  => 1,
        columns => \@deliveries,
        wanted  => { rate => '16 or more' },
    },
    {
        name    => 'b',
        title   => '10,000 subscribers over 1,000 channels, 64 in flight, '
                   . 'from 8 connections',
        load    => [qw(subs=10000 channels=1000 inflight=64 lanes=8)],
        peers   => [qw(chat plain nchan send writev)],
        sliced  => 1,
        columns => \@deliveries,
        wanted  => { rate => '0.80 or more' },
    },
    {
        name    => 'c50',
        title   => 'Latency from the time a message is due to each delivery: '
                   . '50 messages a second to 1,000 subscribers',
        load    => [qw(subs=1000 rate=50)],
        sliced  => 1,
        slice   => 0.4,
        columns => \@latencies,
        wanted  => { p50 => '1.1 at most' },
    },
    {
        name    => 'c100',
        title   => 'The same, 100 messages a second',
        load    => [qw(subs=1000 rate=100)],
        sliced  => 1,
        slice   => 0.4,
        columns => \@latencies,
        wanted  => { p99 => '1.3 at most' },
    },
    {
        name    => 'd',
        rounds  => ROUNDS,
        title   => 'User-space memory of an idle subscribed connection, of '
                   . '15,000 (growth of the PSS of all processes)',
        load    => [qw(mode=idle subs=15000 seconds=1)],
        columns => [ [ bytes => 'bytes' ] ],
        wanted  => { bytes => '1,100 at most' },
    },
    {
        name    => 'd_token',
        title   => 'The same of 15,000 with three channels each, and what a '
                   . 'token costs more, its part of the zone included',
        run     => \&run_tokens,
        peers   => [qw(chat)],
        rounds  => 3,
        columns => [
            [ plain => 'bytes, without tokens' ],
            [ token => 'with' ],
            [ more  => 'a token' ],
        ],
        wanted  => { more => '250 at most' },
    },
    {
        name    => 'd_events',
        title   => 'The same of 5,000 clients of chat_events that are idle, '
                   . 'and of as many requests that nginx answers slowly by '
                   . 'itself',
        run     => \&run_events,
        peers   => [qw(chat)],
        rounds  => 3,
        columns => [
            [ plain  => 'bytes, of nginx\'s own' ],
            [ events => 'of chat_events' ],
            [ more   => 'more' ],
        ],
        wanted  => { more => '2,048 at most' },
    },
    {
        name    => 'd_fallback',
        title   => 'The same of 5,000 clients of chat_fallback, each with a '
                   . 'channel',
        run     => \&run_fallback,
        peers   => [qw(chat)],
        rounds  => 3,
        columns => [
            [ xhr_streaming => 'bytes, by xhr_streaming' ],
            [ xhr           => 'by xhr_polling' ],
        ],
    },
    {
        name    => 'e',
        rounds  => ROUNDS,
        title   => 'Handshakes, each with a subscription to the same channel',
        same    => 'd',
        columns => [
            [ handshakes    => 'a second' ],
            [ handshake_cpu => 'server CPU of one, µs', 'times the floor' ],
            [ first_cpu     => 'of the first tenth, µs' ],
            [ last_cpu      => 'of the last tenth, µs' ],
        ],
        wanted  => { handshake_cpu => '1.4 at most' },
        note    => 'nchan subscribes by the handshake itself; the others '
                   . 'answer a message more.',
    },
    {
        name    => 'f',
        title   => '`POST` of stored messages, `sync=full`, by clients that '
                   . 'wait for the answer: messages a second',
        sizes   => [1, 8, 64],
        size    => 'clients',
        sliced  => 1,
        peers   => [qw(chat sqlite sqlite1)],
        base    => 'sqlite',
        fixed   => 1,
        columns => [
            [ messages1  => '1 client',   'times the floor' ],
            [ messages8  => '8 clients',  'times the floor' ],
            [ messages64 => '64 clients', 'times the floor' ],
            [ gain       => '64 clients for 1' ],
            [ batch8     => 'messages a commit at 8 clients' ],
            [ batch64    => 'at 64' ],
        ],
        wanted  => { messages64 => '0.4 or more', gain => '10 or more' },
        note    => 'The floor inserts and commits batches as large as the '
                   . 'module has reached just before; the last row commits '
                   . 'each message.',
    },
    {
        name    => 'g',
        rounds  => ROUNDS,
        title   => 'b with 2 workers, and what that brings',
        run     => \&run_workers,
        peers   => [qw(chat nchan send)],
        columns => [
            [ rate1    => 'deliveries/s, 1 worker' ],
            [ rate2    => '2 workers' ],
            [ gain     => '2 for 1' ],
            [ cpu_gain => 'per second of server CPU, 2 for 1' ],
        ],
        wanted  => { gain => '1.0 or more' },
    },
    {
        name    => 't',
        rounds  => ROUNDS,
        title   => 'Triggers: published over 32 kept-alive connections, each '
                   . 'waits for the answer, 128 B, each for one subscriber; '
                   . 'ours are signed',
        # a channel for each: on one, nchan lost messages
        load    => [qw(subs=32 channels=32 inflight=32 lanes=32 await=1)],
        peers   => [qw(chat nchan send)],
        base    => 'nchan',
        columns => [
            [ messages         => 'a second',                 'times nchan' ],
            [ messages_per_cpu => 'per second of server CPU', 'times nchan' ],
        ],
        wanted  => { messages_per_cpu => '1.0 or more' },
    },
    {
        name    => 's',
        title   => 'a1 with 100, 1,000 and 10,000 subscribers',
        sizes   => [100, 1000, 10000],
        size    => 'subs',
        sliced  => 1,
        peers   => [qw(chat send)],
        columns => [
            [ rate100   => 'deliveries/s, 100', 'times the floor' ],
            [ rate1000  => '1,000',             'times the floor' ],
            [ rate10000 => '10,000',            'times the floor' ],
        ],
        wanted  => { rate10000 => 'all three within 10 %' },
    },
    {
        name    => 'n',
        rounds  => ROUNDS,
        title   => 'Triggers on a channel that nobody listens to, while 10 '
                   . 'or 10,000 subscribers listen to others: they get not a '
                   . 'byte',
        run     => \&run_nobody,
        peers   => [qw(chat send)],
        columns => [
            [ cpu10    => 'server CPU of one, 10 subscribers, µs' ],
            [ cpu10000 => '10,000, µs' ],
            [ ratio    => '10,000 for 10' ],
        ],
        wanted  => { ratio => 'about 1' },
    },
    {
        name    => 'u',
        title   => 'Subscribe and unsubscribe, while 1,000 or 1,000,000 '
                   . 'channels are there; half of them join one of those, '
                   . 'half make a new one',
        run     => \&run_channels,
        peers   => [qw(chat)],
        rounds  => 3,
        columns => [
            [ subscribe_cpu1000      => 'server CPU of a subscribe, 1,000, '
                                        . 'µs' ],
            [ subscribe_cpu1000000   => '1,000,000, µs' ],
            [ subscribe_cpu_ratio    => '1,000,000 for 1,000' ],
            [ unsubscribe_cpu1000    => 'of an unsubscribe, 1,000, µs' ],
            [ unsubscribe_cpu1000000 => '1,000,000, µs' ],
            [ unsubscribe_cpu_ratio  => '1,000,000 for 1,000' ],
        ],
        wanted  => { subscribe_cpu_ratio   => '1.3 at most',
                     unsubscribe_cpu_ratio => '1.3 at most' },
    },
    {
        name    => 'r',
        title   => 'A reload of 4 workers sends 10,000 clients away at once; '
                   . 'each comes back, to one of 1,000 channels',
        run     => \&run_return,
        peers   => [qw(chat)],
        rounds  => 3,
        columns => [
            [ plain_seconds  => 'until all are back, without tokens, s' ],
            [ token_seconds  => 'with tokens, until all are told, s' ],
            [ time_ratio     => 'with for without' ],
            [ missed_seconds => 'until all are sent 5 messages that they '
                                . 'missed, s' ],
            [ plain_stall    => 'longest stall of a worker, without, ms' ],
            [ token_stall    => 'with, ms' ],
            [ missed_stall   => 'with messages, ms' ],
            [ zone_ratio     => 'the zone, afterwards for before' ],
        ],
        wanted  => { time_ratio => '1.2 at most', token_stall => '50 at most',
                     missed_stall => '50 at most',
                     zone_ratio => 'about 1' },
        note    => 'Server and load share all cores. No client answers a '
                   . '`pusher:ping`, so that all it has had is sent again.',
    },
    {
        name    => 'tls_a1',
        rounds  => ROUNDS,
        title   => 'a1, with TLS for the subscribers',
        load    => [qw(subs=1000 inflight=1)],
        tls     => 1,
        sliced  => 1,
        peers   => [qw(chat nchan tls)],
        base    => 'tls',
        columns => \@deliveries,
        wanted  => { rate => '0.95 or more' },
    },
    {
        name    => 'tls_b',
        rounds  => ROUNDS,
        title   => 'b, with TLS for the subscribers',
        load    => [qw(subs=10000 channels=1000 inflight=64 lanes=8)],
        tls     => 1,
        sliced  => 1,
        peers   => [qw(chat nchan tls)],
        base    => 'tls',
        columns => \@deliveries,
        wanted  => { rate => '0.92 or more' },
    },
    {
        name    => 'tls_d',
        rounds  => 3,
        title   => 'd with TLS, of 5,000',
        load    => [qw(mode=idle subs=5000 seconds=1)],
        tls     => 1,
        peers   => [qw(chat nchan tls)],
        base    => 'tls',
        columns => [ [ bytes => 'bytes' ] ],
        wanted  => { bytes => '16,384 at most' },
    },
    {
        name    => 'connections',
        title   => '50,000 connections on 4 workers, subscribed to 1,000 '
                   . 'channels, pinged, and fed 400 messages a second for '
                   . 'a minute',
        run     => \&run_connections,
        extra   => 1,
        peers   => [qw(chat)],
        rounds  => 1,
        columns => [
            [ bytes      => 'bytes a connection' ],
            [ bytes_fed  => 'after the minute' ],
            [ deliveries => 'deliveries' ],
            [ pings      => 'Pings answered' ],
            [ p50        => 'p50, µs' ],
            [ p99        => 'p99, µs' ],
        ],
        wanted  => { bytes => '1,100 at most' },
        note    => 'Server and load, of 4 processes, share all cores. '
                   . 'Latencies are those of 12,500 of the subscribers.',
    },
);


my %by_name = map { $_->{name} => $_ } @measures;

# rounds in which nchan lost messages, by measurement
my %lost;

# messages a commit, by clients, as the module has reached them just before
my %batches;

my %chosen = (
    rounds  => $ENV{ROUNDS} || 9,
    seconds => $ENV{BENCH_SECONDS} || 1,
    peers   => [ chosen_peers() ],
);


sub chosen_peers {
    my $want = $ENV{PEERS} || 'chat plain nchan floor';
    my %want = map { $_ => 1 } split ' ', $want;

    @want{qw(send writev tls sqlite sqlite1)} = (1) x 5
        if delete $want{floor};

    my @peers = grep { delete $want{$_} } peer_names();

    die "no such peers: @{[keys %want]}\n" if %want;

    return @peers;
}


# All, or those that BENCH names: "a" is a1 and a32, "tls" all with TLS.

sub chosen_measures {
    my @want = split ' ', $ENV{BENCH} || '';
    my %found;

    return grep { !$_->{extra} } @measures if !@want;

    for my $want (@want) {
        my @names = grep { /^\Q$want\E(?:\d*|_\w+)$/ }
                    map { $_->{name} } @measures;

        die "no such measurement: $want\n" if !@names;

        @found{@names} = @names;
    }

    return grep { $found{$_->{name}} } @measures;
}


sub figures_of {
    my ($fh) = @_;

    return map { /^(\w+) (\S+)$/ ? ($1, $2) : () } <$fh>;
}


sub load_command {
    my ($server, $cpus) = @_;

    my $peer = $server->{peer};
    my $kind = is_ours($peer) ? 'chat' : $peer eq 'nchan' ? $peer : 'floor';

    return [ 'taskset', '-c', $cpus, binary('load'),
             "kind=$kind", "port=$server->{port}",
             $server->{tls} ? "tls=$server->{tls_port}" : (),
             'pids=' . join(',', $server->pids),
             "seconds=$chosen{seconds}" ];
}


# The load's figures; what it finds wrong ends the benchmark.

sub load {
    my ($server, $cpus, @args) = @_;

    open my $pipe, '-|', @{load_command($server, $cpus)}, @args
        or die "no load generator: $!\n";

    my %figures = figures_of($pipe);

    close $pipe
        or die "\nFAILED: $server->{peer}, @args: see the load's words above."
               . "\nNothing that it counted counts.\n";

    return \%figures;
}


sub serve_load {
    my ($conf, @args) = @_;

    my $server = Bench::Peer->start(cpus => $server_cpus, %$conf);
    my $figures = load($server, $load_cpus, @args);
    $server->stop;

    return $figures;
}


# All servers of a round at once: each load measures when it has its turn.

sub run_sliced {
    my ($measure, @peers) = @_;

    my %running = map { $_ => begin_sliced($measure, $_) } @peers;
    my %figures = map { $_ => {} } @peers;

    for my $slice (1 .. SLICES) {
        for my $peer (List::Util::shuffle(sort keys %running)) {
            my $running = $running{$peer};

            next if take_slice($running, $slice == SLICES);

            die "\nFAILED: $peer, $measure->{name}: see the load's words "
                . "above.\nNothing that it counted counts.\n"
                if $peer ne 'nchan';

            $lost{$measure->{name}}++;
            end_sliced(delete $running{$peer});
        }
    }

    for my $peer (keys %running) {
        $figures{$peer} = $running{$peer}{figures};
        end_sliced($running{$peer});
    }

    return \%figures;
}


# The same with several numbers of subscribers or clients, one after the other.

sub run_sizes {
    my ($measure, @peers) = @_;

    my %figures = map { $_ => {} } @peers;

    for my $size (@{$measure->{sizes}}) {
        my $seen = run_sliced({ %$measure, $measure->{size} => $size },
                              @peers);

        for my $peer (@peers) {
            for my $metric (qw(rate messages batch)) {
                $figures{$peer}{"$metric$size"} = $seen->{$peer}{$metric};
            }

            $figures{$peer}{load_share} = $seen->{$peer}{load_share};
        }
    }

    if (my $ours = $measure->{size} eq 'clients' && $figures{chat}) {
        $ours->{gain} = $ours->{messages64} / $ours->{messages1};
    }

    return \%figures;
}


sub begin_sliced {
    my ($measure, $peer) = @_;

    my @slices = ('slices=' . SLICES,
                  'seconds=' . slice_of($measure) * $chosen{seconds});

    return begin_load(undef, bare_command($measure, $peer))
        if $peer =~ /^sqlite/;

    my $server = Bench::Peer->start(peer => $peer, cpus => $server_cpus,
                                    tls => $measure->{tls});

    my @load = $measure->{clients} ? store_load($server, $measure->{clients})
               : $measure->{subs} ? "subs=$measure->{subs}"
               : @{$measure->{load}};

    if (is_ours($peer) && !$measure->{clients}) {
        fill($server, RING_FILL, qw(subs=10 channels=10 nobody=1 await=1));
    }

    return begin_load($server, @{load_command($server, $load_cpus)}, @load,
                      @slices);
}


sub slice_of { $_[0]{slice} || SLICE }


# Returns when it is ready; if it does not become so, its first slice tells.

sub begin_load {
    my ($server, @command) = @_;

    my $pid = IPC::Open2::open2(my $out, my $in, @command);

    readline $out;

    return { server => $server, pid => $pid, in => $in, out => $out };
}


# False where the load has found something wrong.

sub take_slice {
    my ($running, $last) = @_;

    local $SIG{PIPE} = 'IGNORE';

    syswrite $running->{in}, "\n";

    return (readline($running->{out}) // '') =~ /^ready/ if !$last;

    $running->{figures} = { figures_of($running->{out}) };

    return defined $running->{figures}{seconds};
}


sub end_sliced {
    my ($running) = @_;

    close $_ for @$running{qw(in out)};
    waitpid($running->{pid}, 0);
    $running->{server}->stop if $running->{server};
}


# What somebody else's server loses is no reason to measure nothing: the round
# is left out for it, and the table says so.

sub measure_or_not {
    my ($measure, $peer) = @_;

    return measure($measure, $peer) if $peer ne 'nchan';

    my $figures = eval { measure($measure, $peer) };

    return $figures if $figures;

    print STDERR $@;
    $lost{$measure->{name}}++;
    Bench::Peer::stop_all();

    return {};
}


sub measure {
    my ($measure, $peer) = @_;

    $measure = $by_name{$measure->{same}} if $measure->{same};

    return $measure->{run}->($peer) if $measure->{run};

    return serve_load({ peer => $peer, tls => $measure->{tls} },
                      @{$measure->{load}});
}


# The load of clients that store; what they have reached is what the floor
# commits at once.

sub store_load {
    my ($server, $clients) = @_;

    my @store = qw(subs=0 await=1 store=1);
    my @load = (@store, "inflight=$clients", "lanes=$clients",
                "shm=$server->{dir}/data/chat.db-shm");

    fill($server, STORE_FILL, @store);

    $batches{$clients} = load($server, $load_cpus, @load,
                              'seconds=0.5')->{batch};
    return @load;
}


# A bare loop that inserts and commits needs no clients.

sub bare_command {
    my ($measure, $peer) = @_;

    my $batch = $peer eq 'sqlite' ? $batches{$measure->{clients}} : 1;
    my $dir = "build/bench/run-$peer";

    die "f needs chat, whose commits its floor repeats\n" if !$batch;

    File::Path::remove_tree($dir);
    File::Path::make_path($dir);

    return ('taskset', '-c', $server_cpus, binary('sqlite'),
            "$dir/chat.db", int($batch + 0.5), SLICES,
            slice_of($measure) * $chosen{seconds}, sort glob 'sql/*.sql');
}


# At least so many messages, before anything is measured.

sub fill {
    my ($server, $most, @load) = @_;

    for (my $posted = 0; $posted < $most; ) {
        my $seen = load($server, $load_cpus, @load,
                        qw(inflight=64 lanes=64 warm=0 seconds=0.5));

        die "$server->{peer} takes no messages\n" if !$seen->{messages};

        $posted += $seen->{messages} * 0.5;
    }
}


# With fewer than four cores, servers of one worker and of two have to share
# them with the load.

sub run_workers {
    my ($peer) = @_;

    my ($theirs, $ours) = $cores < 4 ? ($all_cpus, $all_cpus)
                                     : ('0-1', '2-' . ($cores - 1));
    my %figures;

    for my $workers (1, 2) {
        my $server = Bench::Peer->start(peer => $peer, workers => $workers,
                                        cpus => $theirs);
        my $seen = load($server, $ours, qw(subs=10000 channels=1000
                                           inflight=64 lanes=8));
        $server->stop;

        $figures{"rate$workers"} = $seen->{rate};
        $figures{"per_cpu$workers"} = $seen->{per_cpu};
        $figures{load_share} = $seen->{load_share};
    }

    $figures{gain} = $figures{rate2} / $figures{rate1};
    $figures{cpu_gain} = $figures{per_cpu2} / $figures{per_cpu1};

    return \%figures;
}


sub run_nobody {
    my ($peer) = @_;

    my %figures;

    for my $subs (10, 10000) {
        my $seen = serve_load({ peer => $peer }, "subs=$subs",
                              qw(channels=10 nobody=1 await=1 inflight=32
                                 lanes=32));

        $figures{"cpu$subs"} = 1e6 / $seen->{messages_per_cpu};
        $figures{load_share} = $seen->{load_share};
    }

    $figures{ratio} = $figures{cpu10000} / $figures{cpu10};

    return \%figures;
}


# Two servers, one with few channels and one with many, by turns.

sub run_channels {
    my ($peer) = @_;

    my @counts = (1000, 1_000_000);
    my %running = map { $_ => begin_channels($peer, $_) } @counts;
    my %figures;

    for my $slice (1 .. SLICES) {
        for my $count (List::Util::shuffle(@counts)) {
            take_slice($running{$count}, $slice == SLICES)
                or die "\nFAILED: u: see the load's words above.\n";
        }
    }

    for my $what (qw(subscribe_cpu unsubscribe_cpu)) {
        for my $count (@counts) {
            $figures{"$what$count"} = $running{$count}{figures}{$what};
        }

        $figures{"${what}_ratio"} = $figures{"${what}1000000"}
                                    / $figures{"${what}1000"};
    }

    end_sliced($_) for values %running;

    return \%figures;
}


sub begin_channels {
    my ($peer, $count) = @_;

    my $server = Bench::Peer->start(peer => $peer, cpus => $server_cpus,
                                    zone => '1024m', name => "$peer-$count");

    return begin_load($server, @{load_command($server, $load_cpus)},
                      'mode=channels', "count=$count", 'slices=' . SLICES);
}


# A process may hold 20,000 descriptors here and there, so the load is four.

sub run_connections {
    my ($peer) = @_;

    my ($processes, $each, $count) = (4, 12500, 24000);

    my $server = Bench::Peer->start(peer => $peer, workers => 4,
                                    cpus => $all_cpus, activity => '20s');
    my $before = memory($server);
    my @loads;

    for my $n (0 .. $processes - 1) {
        my @args = (@{load_command($server, $all_cpus)}, "subs=$each",
                    'channels=1000', "count=$count", 'addr=' . 2 * $n,
                    $n ? 'lanes=0' : ('lanes=8', 'rate=400'));

        my $pid = IPC::Open2::open2(my $out, my $in, @args);

        <$out> // die "\nFAILED: connections: see the load's words above.\n";

        push @loads, { pid => $pid, in => $in, out => $out };
    }

    my %figures = (bytes => (memory($server) - $before)
                            / ($processes * $each));

    # the one that publishes comes last
    syswrite $_->{in}, "\n" for reverse @loads;

    for my $load (@loads) {
        my %seen = figures_of($load->{out});

        waitpid($load->{pid}, 0);
        $? and die "\nFAILED: connections: see the load's words above.\n";

        $figures{$_} += $seen{$_} for qw(deliveries pings);
        $figures{$_} //= $seen{$_} for qw(p50 p99);
    }

    $figures{bytes_fed} = (memory($server) - $before)
                          / ($processes * $each);
    $server->stop;

    return \%figures;
}


sub run_tokens {
    my ($peer) = @_;

    my %figures;

    for my $kind (qw(plain token)) {
        $figures{$kind} = serve_load({ peer => $peer },
            qw(mode=idle subs=15000 seconds=1 channels=5000 each=3),
            'token=' . ($kind eq 'token' ? 1 : 0))->{bytes};
    }

    $figures{more} = $figures{token} - $figures{plain};

    return \%figures;
}


sub run_events {
    my ($peer) = @_;

    my %paths = (plain  => '/long',
                 events => '/events/benchkey?channels=chat');
    my %figures = map {
        $_ => serve_load({ peer => $peer },
                         qw(mode=idle subs=5000 seconds=1),
                         "get=$paths{$_}")->{bytes}
    } sort keys %paths;

    $figures{more} = $figures{events} - $figures{plain};

    return \%figures;
}


sub run_fallback {
    my ($peer) = @_;

    return { map {
        $_ => serve_load({ peer => $peer },
                         qw(mode=idle subs=5000 seconds=1),
                         "fallback=$_")->{bytes}
    } qw(xhr_streaming xhr) };
}


# One server after the other: clients without tokens, with tokens, and with
# tokens and messages that they missed.

sub run_return {
    my ($peer) = @_;

    my %figures;

    for my $kind (qw(plain token missed)) {
        my $messages = $kind eq 'missed' ? 5 : 0;
        my $server = Bench::Peer->start(peer => $peer, workers => 4,
                                        cpus => $all_cpus, drain => '0s');
        my $load = begin_load(undef, @{load_command($server, $all_cpus)},
                              qw(mode=return subs=10000 channels=1000
                                 burst=512), 'token=' . ($kind ne 'plain'
                                                         ? 1 : 0));

        my $before = $server->status->{zone_used_bytes};

        $server->post("/to?channel=c$_") for (0 .. 999) x $messages;
        kill 'HUP', $server->{pid};

        # of the workers that leave, too
        my ($status, $stall);

        do {
            $status = $server->status;
            $stall = List::Util::max($stall // 0,
                map { $_->{stall_max_microseconds} }
                    @{$status->{per_worker}});
        } while (!IO::Select->new($load->{out})->can_read(0.02)
                 || $status->{workers} > 4);

        my %seen = figures_of($load->{out});

        $seen{seconds}
            or die "\nFAILED: r: see the load's words above.\n";

        if ($kind ne 'plain'
            && ($seen{recovered} != 10_000
                || $seen{again} != 10_000 * $messages))
        {
            die "\nFAILED: r: $seen{recovered} of 10,000 recovered, with "
                . "$seen{again} messages.\n";
        }

        $figures{"${kind}_seconds"} = $seen{seconds};
        $figures{"${kind}_stall"} = $stall / 1000;
        $figures{zone_ratio} = $status->{zone_used_bytes} / $before;

        end_sliced($load);
        $server->stop;
    }

    $figures{time_ratio} = $figures{token_seconds} / $figures{plain_seconds};

    return \%figures;
}


sub memory {
    my ($server) = @_;

    my $command = join(' ', @{load_command($server, $all_cpus)},
                       'mode=memory');
    my ($bytes) = `$command` =~ /^memory (\d+)/;

    return $bytes // die "no memory figure\n";
}


sub peers_of {
    my ($measure) = @_;

    my @peers = @{$measure->{peers} || [qw(chat nchan send writev)]};
    my %all = map { $_ => 1 } @peers;

    return grep { $all{$_} } @{$chosen{peers}};
}


# Each round in another order: what comes first, or behind another, may have a
# disadvantage (where several run at once, who connects first, of some 2 %).

sub run_round {
    my ($round, $results, @list) = @_;

    for my $measure (@list) {
        my @peers = peers_of($measure);
        my $from = $measure->{same};

        # figures that another measurement has brought along
        next if $measure->{rounds} && $round > $measure->{rounds};

        if ($from && $results->{$from}) {
            $results->{$measure->{name}} = $results->{$from};
            next;
        }

        for (1 .. ($measure->{fixed} ? 0 : $round % (@peers || 1))) {
            push @peers, shift @peers;
        }

        if ($measure->{sliced}) {
            my $run = $measure->{sizes} ? \&run_sizes : \&run_sliced;
            my $figures = $run->($measure, @peers);

            for my $peer (@peers) {
                push @{$results->{$measure->{name}}{$peer}},
                     $figures->{$peer};
            }

            next;
        }

        for my $peer (@peers) {
            print STDERR "\rround $round, $measure->{name}, $peer        "
                if -t STDERR;

            push @{$results->{$measure->{name}}{$peer}},
                 measure_or_not($measure, $peer);
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
        push @cells, figure(ratios($measure, $runs, $peer, $metric))
            if $ratio;

        my $wanted = $measure->{wanted}{$metric};

        $cells[-1] .= ", wanted: $wanted" if is_ours($peer) && $wanted;
    }

    my $share = median(grep { defined }
                       map { $_->{load_share} } @{$runs->{$peer}});

    push @cells, defined $share
                 ? sprintf('%.0f %%%s', $share * 100,
                           $share > LOAD_LIMIT ? ' (!)' : '')
                 : '–';

    return @cells;
}


sub section {
    my ($measure, $runs) = @_;

    my @head = map { $_->[2] ? @$_[1, 2] : $_->[1] } @{$measure->{columns}};
    my @peers = grep { $runs->{$_} } peer_names();

    return if !@peers;

    my $rounds = List::Util::min($measure->{rounds} || (), $chosen{rounds});
    my $fewer = $rounds < $chosen{rounds} ? " ($rounds rounds)" : '';

    return "**$measure->{name}** $measure->{title}$fewer\n\n"
           . table([ '', @head, 'load' ],
                   map { [ peer_title($_), cells($measure, $runs, $_) ] }
                   @peers)
           . ($measure->{note} ? "\n$measure->{note}\n" : '')
           . ($lost{$measure->{name}}
              ? "\nnchan lost messages in $lost{$measure->{name}} of "
                . "$rounds rounds, which are left out for it.\n" : '');
}


sub machine {
    my ($model) = slurp('/proc/cpuinfo') =~ /^model name\s*: (.*)$/m;
    my ($kernel) = split /\n/, slurp('/proc/sys/kernel/osrelease');
    my ($memory) = slurp('/proc/meminfo') =~ /^MemTotal:\s+(\d+)/m;
    my ($version) = `nginx -v 2>&1` =~ m{nginx/(\S+)};
    my $commit = `git rev-parse --short HEAD 2>/dev/null` || '';

    chomp $commit;

    return sprintf("%d cores of %s, %.0f GB, Linux %s, nginx %s%s; server on "
                   . "core %s, load on core %s; %s, each of %s s, or of "
                   . "%s slices by turns; figures are medians, with the "
                   . "range behind them; a ratio is the median of the "
                   . "rounds' ratios.\n"
                   . "\"load\" is how busy the load generator's core was: "
                   . "above %.0f %% it may have been what was measured.\n",
                   $cores, $model || 'an unknown model', $memory / 1048576,
                   $kernel, $version || '?', $commit && ", module at $commit",
                   $server_cpus, $load_cpus,
                   "$chosen{rounds} round" . ($chosen{rounds} > 1 && 's'),
                   $chosen{seconds}, SLICES, LOAD_LIMIT * 100);
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
binary('load');
binary('floor');

my @list = chosen_measures();
my $noise = Bench::Noise->new($cores, $server_cpus, $load_cpus);
my %results;

# some measurements are content with fewer rounds
my ($most) = sort { $b <=> $a }
             map { $_->{rounds} || $chosen{rounds} } @list;

$chosen{rounds} = $most if $most < $chosen{rounds};

for my $round (1 .. $chosen{rounds}) {
    $noise->round_begins;
    run_round($round, \%results, @list);
    $noise->round_ends;
}

write_table(\%results, $noise, @list);
