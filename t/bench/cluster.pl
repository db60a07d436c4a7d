#!/usr/bin/perl

# make bench-cluster: how much later an event comes to a subscriber of another
# node, what the engine does for it, and how long a new node takes.  Two nodes,
# an engine and the load share all cores, so a figure is only good beside
# another of the same run.
#
#     BENCH_SECONDS=10    of each measured piece
#
# It prints Markdown, also to build/bench/cluster.md.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Path ();
use IO::Select;
use POSIX ();
use Time::HiRes qw(sleep time);

use lib dirname(Cwd::abs_path($0)) . '/lib';
use lib dirname(Cwd::abs_path($0)) . '/../lib';

use Bench::Table qw(median);
use Chat::API;
use Chat::Cluster;
use Chat::HTTP qw(from_json);
use Chat::Pusher qw(subscribe_to);
use Chat::Server qw(APP_ID build_dir slurp spew wait_for);
use Test::More ();

my $seconds = $ENV{BENCH_SECONDS} || 10;

# the libraries of the tests tell what they check
Test::More->builder->output('/dev/null');
Test::More->builder->no_ending(1);

my $text = '';


sub say_line {
    my ($line) = @_;

    $text .= "$line\n";
    print "$line\n";

    return;
}


sub quantile {
    my ($q, @values) = @_;

    @values = sort { $a <=> $b } @values;

    return $values[int($q * $#values + 0.5)];
}


# Seconds of a process' CPU time.

sub cpu_of {
    my ($pid) = @_;

    my @stat = split ' ', slurp("/proc/$pid/stat") =~ s/^.*\) //sr;

    return ($stat[11] + $stat[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}


# ---- latency: from the first byte of the request to the subscribers' frames

sub latencies {
    my ($from, %ws) = @_;

    my $api = Chat::API->new(port => $from->port);
    my $select = IO::Select->new(map { $_->socket } values %ws);
    my %name = map { $ws{$_}->socket => $_ } keys %ws;
    my (%late, %seen);
    my $every = 0.01;
    my $n = int($seconds / $every);
    my $due = time();

    for my $i (1 .. $n) {
        sleep($due - time()) if $due > time();
        $due += $every;

        my $begun = time();

        $api->trigger({ name => 'tick', channel => 'bench', data => "$i" })
            ->{status} == 200 or die 'a trigger is refused';

        while (grep { ($seen{$_} || 0) < $i } keys %ws) {
            my @ready = $select->can_read(5) or die 'an event does not come';
            my $now = time();

            for my $socket (@ready) {
                my $name = $name{$socket};

                while (my $event = $ws{$name}->next_event(0)) {
                    last if !$event->{event};
                    next if $event->{event} ne 'tick';

                    $seen{$name} = $event->{data};
                    push @{ $late{$name} }, ($now - $begun) * 1000;
                }
            }
        }
    }

    return map { $_ => $late{$_} } keys %late;
}


sub row {
    my ($title, $values) = @_;

    say_line(sprintf '| %s | %.2f | %.2f |', $title, quantile(0.5, @$values),
             quantile(0.99, @$values));

    return;
}


sub measure_latency {
    my $alone = Chat::Pusher->new(workers => 1,
        locations => 'location /app/ { chat_websocket; }'
                     . ' location /apps/ { chat_api; }');
    my %ws = (alone => $alone->ws);

    subscribe_to($ws{alone}, 'bench');
    my %late = latencies($alone, %ws);
    $alone->finish;

    my $cluster = Chat::Cluster->new(workers => 1);

    %ws = map { $_ => $cluster->node($_)->ws } $cluster->names;
    subscribe_to($_, 'bench') for values %ws;
    %late = (%late, latencies($cluster->node('a'), %ws));
    $cluster->finish;

    say_line('| a trigger on node a, 100 a second | p50, ms | p99, ms |');
    say_line('| --- | --- | --- |');
    row('a server without `chat_cluster`', $late{alone});
    row('a subscriber of node a', $late{a});
    row('a subscriber of node b', $late{b});
    say_line('');

    return;
}


# ---- what the engine does

# Publishes so many events a second, and tells how many it has.

sub publish {
    my ($port, $rate, $batch) = @_;

    my $api = Chat::API->new(port => $port);
    my $end = time() + $seconds;
    my $due = time();
    my @events = map { { name => 'tick', channel => 'bench',
                         data => 'x' x 128 } } 1 .. $batch;
    my $n = 0;

    while (time() < $end) {
        my $res = $batch > 1 ? $api->batch(\@events)
                             : $api->trigger($events[0]);

        die "refused: $res->{status}" if $res->{status} != 200;
        $n += $batch;
        $due += $batch / $rate;
        sleep($due - time()) if $due > time();
    }

    return $n;
}


sub measure_engine {
    say_line('| events a second | sent | engine, µs of CPU an event '
             . '| both nodes, µs of CPU an event |');
    say_line('| --- | --- | --- | --- |');

    my $log;

    for ([ 100, 1, 1 ], [ 1000, 8, 1 ], [ 5000, 4, 10 ]) {
        my ($rate, $processes, $batch) = @$_;
        my $cluster = Chat::Cluster->new(workers => 1);
        my @nodes = map { $cluster->server($_)->worker_pids } $cluster->names;
        my $port = $cluster->node('a')->port;

        my @before = map { cpu_of($_) } $cluster->engine->pid, @nodes;
        my @pipes = map {
            my $pid = open my $pipe, '-|';

            die "fork: $!" if !defined $pid;

            if ($pid == 0) {
                print publish($port, $rate / $processes, $batch);
                close STDOUT;
                POSIX::_exit(0);
            }

            $pipe;
        } 1 .. $processes;

        my $n = 0;

        $n += do { my $pipe = $_; readline $pipe } || die 'a publisher failed'
            for @pipes;

        my @after = map { cpu_of($_) } $cluster->engine->pid, @nodes;
        my @used = map { $after[$_] - $before[$_] } 0 .. $#before;
        my $engine = shift @used;
        my $all = 0;

        $all += $_ for @used;
        say_line(sprintf '| %d | %d | %.1f | %.0f |', $rate, $n / $seconds,
                 $engine / $n * 1e6, $all / $n * 1e6);

        my $bytes = $cluster->engine->command(qw(MEMORY USAGE {chat}:log
                                                 SAMPLES 0));
        $log = sprintf 'Redis has %.0f bytes of log for an event of 128 bytes '
                       . 'of data, %s to a request.', $bytes / $n,
                       $batch == 1 ? 'one' : $batch;
        $cluster->finish;
        say_line("\n$log") if $rate == 5000;
    }

    return;
}


# ---- a node that begins without a database

sub measure_fill {
    my $messages = 100_000 * $seconds;
    my $cluster = Chat::Cluster->new(workers => 1, nodes => [ 'a' ]);
    my $server = $cluster->server('a');

    # the cluster is made of a database that has them
    $cluster->post('a', 'text');
    $server->stop;
    $server->sqlite(<<"END");
WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n
                         WHERE i < $messages)
INSERT INTO messages (id, app, channel, event, content, created_at, updated_at)
SELECT i, app, channel, event, hex(zeroblob(50)), created_at, updated_at
FROM messages, n;
DELETE FROM meta WHERE key = 'cluster';
END
    $cluster->engine->command('FLUSHALL');
    $server->start;
    $cluster->connect('a');
    wait_for(60, sub { $cluster->cluster_status('a')->{joined} })
        or die 'node a is not in the cluster';

    my $begun = time();

    $cluster->add('b');
    say_line(sprintf "\nA node that begins without a database has %d messages "
                     . 'of 100 bytes after %.1f s.', $messages,
                     time() - $begun);
    $cluster->finish;

    return;
}


measure_latency();
measure_engine();
measure_fill();

File::Path::make_path(build_dir() . '/bench');
spew(build_dir() . '/bench/cluster.md', $text);
