#!/usr/bin/perl

# Shared memory that heals: a worker dies with its lock, of a bad pointer or
# of a kill.  What is there then is given up, all clients are told to come
# back, and they find everything as it should be; no other worker dies.
#
# Where the worker dies is chosen by failpoints, in a build of their own (see
# ngx_chat_module/wire/ngx_chat_failpoint.h).  A debugger could write the bad
# pointer, too, but needs debug symbols and the right to trace, and is slow.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Failpoints qw(arm prepare);
use Chat::HTTP qw(from_text json_bytes);
use Chat::Pusher qw(send_subscribe subscribe_to join_presence client_event
                    is_event is_fatal events_of users_of);
use Chat::Server qw(build_dir stop_worker wait_for);
use Chat::Token qw(fresh_token is_new);
use Chat::WebSocket;

use constant {
    CLIENTS => 24,
    MOST    => 100,                         # max_connections
    WORKERS => 4,
};


# The clients, on all workers: each on a plain channel, a presence channel and
# a cache channel.  There are two of each user.

sub come {
    my ($t) = @_;

    my @ws = $t->spread(CLIENTS);

    for my $i (0 .. $#ws) {
        my $user = int($i / 2);
        my $p = join_presence($ws[$i], 'presence-room', "u$user");

        is(users_of($p), join(' ', sort map { "u$_" } 0 .. $user),
           "client $i sees who is there");
        subscribe_to($ws[$i], 'room');
    }

    # what each was told of those who came behind it
    for my $i (0 .. $#ws) {
        my @told = events_of($ws[$i]);

        is(join(' ', map { "$_->{event} " . from_text($_->{data})->{user_id} }
                     @told),
           join(' ', map { "pusher_internal:member_added u$_" }
                     int($i / 2) + 1 .. (CLIENTS - 1) / 2),
           "client $i is told who comes");
    }

    return @ws;
}


# As a browser does: what comes back is a new connection.

sub is_sent_away {
    my ($victim, @ws) = @_;

    for my $ws (@ws) {
        is($ws->wait_close, $ws->header('X-Worker') == $victim
                            ? 'end without close' : 4200, 'sent away');
    }
}


# All is as it is with a server that has just started: who is there, who may
# come, what is cached, what is delivered.

sub is_healed {
    my ($t, $name, $wipes, $last) = @_;

    my $server = $t->server;

    ok(wait_for(10, sub { $server->worker_pids == WORKERS }),
       "$name: there are as many workers as before");
    my @pids = $server->worker_pids;

    $t->{http} = Chat::HTTP->new(port => $t->port);

    my @ws = come($t);

    is(subscribe_to($ws[0], 'cache-room')->{channel}, 'cache-room',
       "$name: a cache channel");
    is($ws[0]->next_event->{event}, 'pusher:cache_miss',
       "$name: cached events are gone");

    # every number is as many as there are; spread() has opened some more
    my $st;

    ok(wait_for(10, sub {
        $st = $t->status;
        return $st->{connections} == CLIENTS;
    }), "$name: connections");
    is($st->{members}, CLIENTS / 2, "$name: members");
    is($st->{subscriptions}, 2 * CLIENTS + 1, "$name: subscriptions");
    is($st->{channels}, 4, "$name: channels, and the count of connections");
    is($st->{registry_wipes}, $wipes, "$name: registry_wipes");
    is($t->server->incident($_)->{count}, $wipes, "$name: the console: $_")
        for 'registry_wiped', 'worker_died';

    my %app = map { $_->{app} => $_ } @{$st->{per_app}};
    is($app{2}{zone_held_bytes}, 0, "$name: the other app holds nothing");
    is($app{2}{zone_share_bytes}, int(int($st->{zone_size_bytes} / 2) / 2),
       "$name: and has its share");
    cmp_ok($app{17536051}{zone_held_bytes}, '>=', $st->{zone_used_bytes},
           "$name: all that is used is the first one's");
    is($st->{workers_died}, $wipes, "$name: workers_died");
    is(deaths($server), $wipes, "$name: nobody else has died");

    # POSTs, their events and the ids of both, in order
    for my $i (1 .. 50) {
        my $text = $t->publish('room', "after $name $i");
        my $id = from_text($text)->{id};

        cmp_ok($id, '>', $last, "$name: ids go on");
        $last = $id;

        is_event($_->next_event, 'news', 'room', $text, "$name: event $i")
            for @ws;
    }

    my @late = map { $t->ws } CLIENTS + 1 .. MOST;
    is_fatal(Chat::WebSocket->new(port => $t->port), 4004,
             "$name: max_connections counts those who are there");

    is(join(' ', $server->worker_pids), "@pids",
       "$name: the workers are the same afterwards");
    $server->{workers_seen} = [ @pids ];

    $t->close_all(@late);

    return ($last, @ws);
}


# That one has died with the lock, and nobody else has died.

sub has_died {
    my ($t, $victim, $signal, $deaths) = @_;

    my $server = $t->server;

    $server->expect_killed($victim, $signal);

    ok(wait_for(10, sub { $server->had_lock($victim) }),
       'a worker dies with the lock');
    is(deaths($server), $deaths, 'and no other');

    # where another program looks on, it has seen what was meant to be
    unlink glob(build_dir() . "/valgrind/*.$victim.log"),
           build_dir() . "/asan/log.$victim";
}


# of a signal, or as a sanitizer does it

sub deaths {
    return scalar(() = $_[0]->error_log
                           =~ /exited (?:on signal|with code [1-9])/g);
}


sub wipes { return scalar(() = $_[0]->error_log =~ /memory was wiped/g) }


# A connection with that worker on which nothing else has been asked for yet.

sub http_with {
    my ($t, $worker) = @_;

    for (1 .. 1000) {
        my $http = Chat::HTTP->new(port => $t->port);

        return $http
            if $http->get('/chat_status')->{headers}{'x-worker'} eq $worker;
    }

    die "no connection with worker $worker";
}


prepare();

my $t = Chat::Pusher->new(workers => WORKERS, main => 'env CHAT_FAILPOINTS;',
                          app => 'client_events on; max_connections ' . MOST
                                 . ';',
                          more => <<'END');
        location = /history { chat_history room app=17536051; }
END
my $server = $t->server;

my @ws = come($t);
my $last = from_text($t->publish('cache-room', 'cached'))->{id};

is(subscribe_to($ws[0], 'cache-room')->{channel}, 'cache-room', 'subscribed');
is(from_text($ws[0]->next_event->{data})->{id}, $last, 'it is cached');


# One worker sleeps meanwhile, so that it has to do with what its clients have
# asked for, in either order, before or after it learns that all is gone.

sub bad_pointer {
    my ($first, $wipes) = @_;

    my ($culprit, $next, $sleeper) = @ws;
    my $other = $ws[2 + WORKERS];
    my $victim = $next->header('X-Worker');
    my $asleep = $sleeper->header('X-Worker');

    is($other->header('X-Worker'), $asleep, 'two with the one that sleeps');

    my $token = fresh_token();
    my $away = Chat::Token::client($t, $token);

    is_new($away, 'room', 'R22: at first');
    $t->close_all($away);

    my $fresh = http_with($t, $asleep);
    my $awake = http_with($t, $culprit->header('X-Worker'));

    stop_worker($asleep);
    arm('channel spoiled', 1);

    subscribe_to($culprit, 'bad');
    send_subscribe($next, 'bad');

    has_died($t, $victim, 11, $wipes);

    is($awake->post('/publish', { content => 'at once' },
                    { 'X-Channel' => 'room', 'X-Event' => 'news' })->{status},
       201, 'a message is taken at once');

    client_event($other, 'presence-room', 'client-late', 'to nobody');
    send_subscribe($sleeper, 'late') if $first eq 'subscription';

    $fresh->send_raw(<<"END" =~ s/\n/\r\n/gr);
GET $sleeper->{path} HTTP/1.1
Host: localhost
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==

END

    send_subscribe($sleeper, 'late') if $first ne 'subscription';

    kill 'CONT', $asleep;

    is_sent_away($victim, @ws);

    1 while $fresh->{buffer} !~ /pusher:.*\}/ && $fresh->fill(time() + 5);
    like($fresh->{buffer},
         qr/^HTTP\S+ 101 .*(?:connection_established|"code":4200)/s,
         'who just comes is let in, or sent away, too');
    $fresh->close;

    ($last, @ws) = is_healed($t, "bad pointer $wipes", $wipes, $last);

    my $back = Chat::Token::client($t, $token);

    is_new($back, 'room', 'R22: nothing is known of a token');
    $t->close_all($back);

    is(wipes($server), $wipes * (WORKERS - 1),
       'each that lived on has logged it');

    my $closed = $t->status->{connections_closed_by_reason};
    cmp_ok($closed->{overrun} + $closed->{worker_died}, '>=',
           $wipes * CLIENTS, 'all are counted as closed');

    return;
}

subtest 'a bad pointer, then a subscription' => sub {
    bad_pointer('subscription', 1);
};

subtest 'a bad pointer, then a connection' => sub {
    bad_pointer('connection', 2);
};


# Under load, in the midst of sending an event: what was acknowledged is in
# history, once, and who comes back sees it there.

subtest 'killed with the lock, under load' => sub {
    my @posters = map { Chat::HTTP->new(port => $t->port) } 1 .. 12;
    my (%acknowledged, %unknown);

    my @before = $server->worker_pids;

    arm('publish', 100);

    for my $round (1 .. 20) {
        for my $i (0 .. $#posters) {
            my $text = "load $round $i";

            $posters[$i]->send_raw(Chat::HTTP->format_request('POST',
                '/publish', { 'Content-Type' => 'application/json',
                              'X-Channel' => 'room', 'X-Event' => 'news' },
                json_bytes({ content => $text })));
        }

        for my $i (0 .. $#posters) {
            my $res = $posters[$i]->read_response('POST');
            my $text = "load $round $i";

            if ($res->{status} == 201) {
                $acknowledged{$text} = from_text($res->{text})->{id};

            } else {
                is($res->{status}, 0, 'no answer but 201');
                $unknown{$text} = 1;
                $posters[$i] = Chat::HTTP->new(port => $t->port);
            }
        }
    }

    my $victim;

    ok(wait_for(10, sub {
        ($victim) = grep { !Chat::Server::is_alive($_) } @before;
    }), 'a worker has died');

    has_died($t, $victim, 9, 3);

    is_sent_away($victim, @ws);

    my %stored;
    push @{ $stored{$_->{content}} }, $_->{id}
        for @{ Chat::HTTP->new(port => $t->port)->history('/history') };

    is_deeply({ map { $_ => $stored{$_} } keys %acknowledged },
              { map { $_ => [ $acknowledged{$_} ] } keys %acknowledged },
              keys(%acknowledged) . ' were acknowledged, all are in history');
    is(scalar(grep { @{ $stored{$_} || [] } > 1 } keys %unknown), 0,
       'of ' . keys(%unknown) . ' without an answer none is twice');
    cmp_ok(scalar keys %acknowledged, '>', 200, 'they are many');

    ($last) = sort { $b <=> $a } $last, map { @$_ } values %stored;
    ($last, @ws) = is_healed($t, 'load', 3, $last);
};


$t->finish;
done_testing();
