# Promise 1.  kill -9 of all of nginx in the middle of posting, ten times: what
# got a 201, or was seen by a subscriber, is in history after a restart.
# kill -9 of one worker: the others go on, subscribers of the others miss
# nothing that was stored, and the replacement serves.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server qw(slurp wait_for);
use Chat::WebSocket qw(TEXT read_all);

use constant { ROUNDS => 10, KILLS => 5, POSTERS => 4 };

# reuseport: the kernel spreads connections over the workers
my $server = Chat::Server->new(workers => 2, listen => 'reuseport',
                               server => 'add_header X-Worker $pid always;')
                         ->start;
my $port = $server->port;

srand(42);


# Posts until the file $stop is there, or, without one, the server is gone.
# An answer is written down at once.

sub poster {
    my ($name, $file, $stop) = @_;

    my $pid = fork();
    die "fork: $!" unless defined $pid;
    return $pid if $pid;

    open my $out, '>>', $file;
    $out->autoflush(1);

    my $http;

    for (my $n = 1; ; $n++) {
        last if defined $stop && -e $stop;

        $http ||= eval { Chat::HTTP->new(port => $port) };

        if (!$http) {
            last unless defined $stop;
            next;
        }

        my $res = $http->post('/messages', { content => "$name-$n" });

        if ($res->{status} == 201) {
            print $out "$res->{body}\n";

        } elsif ($res->{status}) {
            print $out "status $res->{status}\n";

        } else {
            last unless defined $stop;
            undef $http;
        }
    }

    POSIX::_exit(0);
}


sub lines {
    my ($file) = @_;

    return -f $file ? grep { /\}$/ || /^status/ } split /\n/, slurp($file)
                    : ();
}


# Every answer is in history, none is doubled, ids ascend.

sub check_history {
    my ($name, $history, @answers) = @_;

    my %by_id = map { $_->{id} => $_ } @$history;
    my %seen;
    my @lost = grep { my $m = from_json($_);
                      !$by_id{ $m->{id} }
                      || $by_id{ $m->{id} }{content} ne $m->{content} }
               @answers;

    is("@lost", '', "$name: all " . @answers . ' answers are in history');
    is(join(' ', grep { $seen{$_}++ } map { $_->{content} } @$history), '',
       "$name: no message is there twice");
}


# A subscriber in a process of its own, which ends with its connection.

sub listener {
    my ($file) = @_;

    my $ws = Chat::WebSocket->established(port => $port);
    $ws->subscribe('chat');

    my $pid = fork();
    die "fork: $!" unless defined $pid;

    if ($pid) {
        $ws->disconnect;
        return $pid;
    }

    open my $out, '>', $file;
    $out->autoflush(1);

    while (my $f = $ws->next_frame(60)) {
        last if $f->[0] eq 'eof';
        print $out from_json($f->[1])->{data} . "\n" if $f->[0] == TEXT;
    }

    POSIX::_exit(0);
}


my $file = $server->dir . '/answers';
my @acknowledged;

for my $round (1 .. ROUNDS) {
    my $listener = listener($server->dir . "/heard-$round");
    my @posters = map { poster("$round-$_", "$file-$round-$_") } 1 .. POSTERS;
    my $enough = 5 + int rand 100;

    ok(wait_for(30, sub {
           $enough <= map { lines("$file-$round-$_") } 1 .. POSTERS
       }), "round $round: $enough answers");

    $server->kill_all;
    waitpid $_, 0 for @posters, $listener;

    my @answers = map { lines("$file-$round-$_") } 1 .. POSTERS;
    my @heard = lines($server->dir . "/heard-$round");

    is(scalar(grep { /^status/ } @answers), 0, "round $round: only 201");
    push @acknowledged, @answers;

    $server->start;

    my $http = Chat::HTTP->new(port => $port);
    my $history = $http->history('/messages');

    check_history("round $round", $history, @acknowledged);
    check_history("round $round, what was heard", $history, @heard);

    my $res = $http->post('/messages', { content => "round $round" });

    is($res->{status}, 201, "round $round: posting goes on");
    cmp_ok(from_json($res->{body})->{id}, '>',
           @$history ? $history->[-1]{id} : 0, "round $round: ids go on");
    push @acknowledged, $res->{body};
}


# One worker.

sub worker_of { return $_[0]->header('X-Worker') }


for my $kill (1 .. KILLS) {
    my $stop = $server->dir . "/stop-$kill";
    my (%on, @all);

    # subscribers on both workers
    for (1 .. 1000) {
        my $ws = Chat::WebSocket->established(port => $port);
        next if @{ $on{ worker_of($ws) } ||= [] } >= 3;
        $ws->subscribe('chat');
        push @{ $on{ worker_of($ws) } }, $ws;
        last if keys %on == 2 && 6 == map { @$_ } values %on;
    }

    is(scalar keys %on, 2, "kill $kill: subscribers on both workers");

    my ($victim) = (sort keys %on)[ $kill % 2 ];
    my ($other) = grep { $_ != $victim } keys %on;
    my $http = Chat::HTTP->new(port => $port);
    my $first = $http->history('/messages')->[-1]{id};

    my @posters = map { poster("k$kill-$_", "$file-k$kill-$_", $stop) }
                  1 .. POSTERS;
    my $count = sub { scalar map { lines("$file-k$kill-$_") } 1 .. POSTERS };
    my $enough = 20 + int rand 50;

    ok(wait_for(30, sub { $count->() >= $enough }),
       "kill $kill: $enough answers");

    $server->expect_killed($victim, 9);
    kill 'KILL', $victim;

    my $new;
    ok(wait_for(10, sub {
           ($new) = grep { $_ != $victim && $_ != $other }
                    $server->worker_pids;
           return $new;
       }), "kill $kill: there is a replacement");

    my $then = $count->();
    ok(wait_for(30, sub { $count->() > $then + 50 }),
       "kill $kill: posting goes on");

    spew_stop($stop);
    waitpid $_, 0 for @posters;

    my @answers = map { lines("$file-k$kill-$_") } 1 .. POSTERS;

    is(scalar(grep { /^status/ } @answers), 0, "kill $kill: only 201");

    # the replacement serves
    my $fresh;
    for (1 .. 1000) {
        $fresh = Chat::WebSocket->established(port => $port);
        last if worker_of($fresh) == $new;
    }

    is(worker_of($fresh), $new, "kill $kill: a subscriber on it");
    $fresh->subscribe('chat');

    $http = Chat::HTTP->new(port => $port);
    my $res = $http->post('/messages', { content => "kill $kill" });
    is($res->{status}, 201, "kill $kill: a last message");
    is($fresh->next_event->{data}, $res->{body},
       "kill $kill: the replacement gets it");

    my $last = from_json($res->{body})->{id};
    my @stored = grep { $_->{id} > $first } @{ $http->history('/messages') };
    my $ids = join ' ', map { $_->{id} } @stored;

    check_history("kill $kill", \@stored, @answers, $res->{body});

    # all that is stored is sent, whoever died in between; where that one had
    # the lock, it is for who comes back to read the rest
    for my $ws (@{ $on{$other} }) {
        my ($away, @got);

        read_all(10, [ $ws ],
                 sub {
                     return if $_[1][0] ne TEXT;

                     my $e = from_json($_[1][1]);

                     if ($e->{event} eq 'pusher:error') {
                         $away = $e->{data}{code};
                     } else {
                         push @got, from_json($e->{data})->{id};
                     }
                 },
                 sub { $away || @got && $got[-1] >= $last });

        if ($server->had_lock($victim)) {
            is($away, 4200, "kill $kill: a survivor is told to reconnect");
            is(index("$ids ", join('', map { "$_ " } @got)), 0,
               "kill $kill: up to then it got all that is stored");

        } else {
            is("@got", $ids, "kill $kill: a survivor got all that is stored");
        }
    }

    for my $ws (@{ $on{$victim} }) {
        my ($end, @got);

        read_all(10, [ $ws ],
                 sub {
                     $end = 1 if $_[1][0] eq 'eof';
                     push @got, from_json(from_json($_[1][1])->{data})->{id}
                         if $_[1][0] eq TEXT;
                 }, sub { $end });
        ok($end, "kill $kill: the dead worker's connection has ended");

        my %stored = map { $_->{id} => 1 } @stored;
        is(scalar(grep { !$stored{$_} } @got), 0,
           "kill $kill: and what it brought is stored");
    }

    $server->{workers_seen} = [ $server->worker_pids ];
}


sub spew_stop { Chat::Server::spew($_[0], '') }


$server->finish;

done_testing();
