# One app can't take the zone from another: each has a share of it.
#
# An anonymous client of one app takes what it can.  The clients of the other
# notice nothing: new channels, members, cached events.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Pusher qw(send_subscribe subscribe_to join_presence users_of
                    is_event events_of);
use Chat::Server qw(APP_ID APP_KEY wait_for);
use Chat::WebSocket;

use constant {
    WORKERS => 2,
    CHANNELS => 1000,                       # of a connection, by default
    IDLE    => 100,                         # sent away first, one in 0.25 s
};

my @other = (key => 'other-key', secret => 'other-secret');


# Asks for as many channels as a connection may have: how many it got, and the
# last refusal.

sub take {
    my ($ws, $name) = @_;

    my ($taken, @refusals) = 0;

    for my $i (1 .. CHANNELS) {
        send_subscribe($ws, "$name-$i");

        next if $i % 100;

        for my $e (events_of($ws)) {
            if ($e->{event} eq 'pusher_internal:subscription_succeeded') {
                $taken++;

            } elsif ($e->{event} eq 'pusher:subscription_error') {
                push @refusals, $e;
            }
        }
    }

    return ($taken, @refusals ? $refusals[-1] : undef);
}


# Connections that take all that there is for the app.

sub take_all {
    my ($t, $key) = @_;

    my (@ws, $refusal);

    while (!$refusal && @ws < 20) {
        push @ws, $t->ws_of($key);
        (undef, $refusal) = take($ws[-1], 'greedy-' . @ws);
    }

    return ($refusal, @ws);
}


sub per_app {
    my ($t) = @_;

    my $st = from_json(Chat::HTTP->new(port => $t->port)
                           ->get('/chat_status')->{body});

    return { map { $_->{app} => $_ } @{$st->{per_app}} };
}


# An app that is not starved: what is new in it works.

sub serves {
    my ($t, $n, $name) = @_;

    my @ws = $t->spread(WORKERS, path => '/app/other-key?protocol=7');

    for my $i (0 .. $#ws) {
        my ($taken) = take_some($ws[$i], "$name-$i", $n);

        is($taken, $n, "$name: connection $i gets $n channels");
        is(users_of(join_presence($ws[$i], "presence-$name", "u$i", undef,
                                  @other)),
           join(' ', map { "u$_" } 0 .. $i), "$name: and is a member");
    }

    for my $i (0 .. $#ws) {
        is($ws[$i]->next_event->{event}, 'pusher_internal:member_added',
           "$name: connection $i is told who comes") for $i + 1 .. $#ws;
    }

    my $text = $t->publish("cache-$name", 'kept', path => '/other');

    subscribe_to($ws[0], "cache-$name");
    is_event($ws[0]->next_event, 'news', "cache-$name", $text,
             "$name: a cached event");

    return @ws;
}


sub take_some {
    my ($ws, $name, $n) = @_;

    send_subscribe($ws, "$name-$_") for 1 .. $n;

    return scalar grep {
        $_->{event} eq 'pusher_internal:subscription_succeeded'
    } events_of($ws);
}


subtest 'one app takes what it can' => sub {
    my $t = Chat::Pusher->new(workers => WORKERS, zone => '1m');
    my $server = $t->server;
    my @pids = $server->worker_pids;

    my @before = serves($t, 20, 'before');
    my ($refusal, @greedy) = take_all($t, APP_KEY);

    ok($refusal, 'the greedy one is refused in the end') or return;
    is($refusal->{data}{type}, 'ServerError', 'with a type');
    is($refusal->{data}{status}, 503, 'a status');
    like($refusal->{data}{error}, qr/over capacity .*chat_zone/, 'a text');

    my @more = serves($t, 100, 'meanwhile');

    # all of the share, to the last block of 4 KB
    my ($end, @others) = take_all($t, 'other-key');
    my $app = per_app($t)->{2};

    ok($end, 'it is refused, too, in the end');
    cmp_ok($app->{zone_held_bytes}, '>', $app->{zone_share_bytes} - 4096,
           'when it has its share');
    cmp_ok($app->{zone_refused}, '>', 0, 'which is counted');

    ok($_->nothing_waits, 'who was there before is') for @before;
    is_event_of_all($t, @before);

    # the greedy ones go, and the app can go on
    $t->close_all(@greedy);
    ok(wait_for(10, sub { per_app($t)->{+APP_ID}{zone_held_bytes} == 0 }),
       'nothing is left of the greedy ones');

    my $ws = $t->ws;
    is(take_some($ws, 'again', 200), 200, 'its app can go on');
    is(take_some($others[-1], 'more', 50), 50, 'and the other');

    is(join(' ', $server->worker_pids), "@pids", 'the workers are the same');

    my @alerts = $server->error_log =~ /\[alert\].*/g;

    like($alerts[0], qr/chat_zone is full for app "@{[ APP_ID ]}"/,
         'the log names the directive and the app');
    $server->expect_log(qr/chat_zone is full for app/);
    cmp_ok($server->incident('zone_full')->{count}, '>=', 2,
           'and so does the console');
    $t->finish;
};


sub is_event_of_all {
    my ($t, @ws) = @_;

    my $text = $t->publish('before-0-1', 'to one', path => '/other');

    is_event($ws[0]->next_event, 'news', 'before-0-1', $text,
             'and has events');
}


# Cached events of one app don't throw out those of another.

subtest 'cached events' => sub {
    my $t = Chat::Pusher->new(workers => 1, zone => '1m');
    my @kept = map { $t->publish("cache-$_", "kept $_", path => '/other') }
               1 .. 5;

    # several times what the cache takes
    $t->publish("cache-$_", 'x' x 3000) for 1 .. 200;

    my $ws = $t->ws_of('other-key');
    my $mine = $t->ws;

    for my $i (1 .. 5) {
        subscribe_to($ws, "cache-$i");
        is_event($ws->next_event, 'news', "cache-$i", $kept[$i - 1],
                 "cached event $i of the other app is there");
    }

    subscribe_to($mine, 'cache-200');
    is($mine->next_event->{event}, 'news', 'so is the last one of the flood');
    subscribe_to($mine, 'cache-1');
    is($mine->next_event->{event}, 'pusher:cache_miss', 'its first is not');
    $t->finish;
};


# A reload brings an app when another one has all, and takes that one away.

sub apps {
    my (@apps) = @_;

    return join '', 'chat_drain 1h;', map {
        "chat_app $_ { key key-$_; secret secret-$_; }"
    } @apps;
}


subtest 'apps come and go' => sub {
    my $t = Chat::Pusher->new(workers => 1, zone => '1m',
                              http => 'chat_drain 1h;');
    my $server = $t->server;

    my @idle = map { $t->ws } 1 .. IDLE;
    my ($refusal, @greedy) = take_all($t, APP_KEY);
    my ($refused_too, @others) = take_all($t, 'other-key');

    ok($refusal && $refused_too, 'two apps have all');

    my $share = per_app($t)->{2}{zone_share_bytes};
    my $zone = 4 * $share;

    $server->write_conf(http => apps(3)
                        . 'chat_app 2 { key other-key; secret other-secret; }');

    $server->reload;

    my $app = per_app($t);

    # divided by three now
    for my $id (APP_ID, 2, 3) {
        cmp_ok(abs($app->{$id}{zone_share_bytes} - $zone / 6), '<', 10,
               "app $id has a share");
    }

    my $ws = $t->ws_of('key-3');

    is(take_some($ws, 'new', 10), 0, 'a new app waits for its share');

    # what they have beyond their shares comes back as they leave
    $t->close_all(@greedy, @others);
    ok(wait_for(20, sub { per_app($t)->{2}{zone_held_bytes} == 0 }),
       'the others leave');

    my ($end, @more) = take_all($t, APP_KEY);

    ok($end, 'one takes all again');
    is(take_some($ws, 'new', 100), 100, 'the new app has its share');

    # it is taken out: what it has stays until its clients are gone
    $server->write_conf(http => apps(4)
                        . 'chat_app 2 { key other-key; secret other-secret; }');
    $_->disconnect for @idle;
    $server->reload;
    $app = per_app($t);

    is(join(' ', sort keys %$app), '17536051 2 4', 'the apps that are there');
    cmp_ok(abs($app->{4}{zone_share_bytes} - $zone / 6), '<', 10,
           'the one that came has a share');
    is($app->{4}{zone_held_bytes}, 0, 'and nothing of the one that has gone');

    my $four = $t->ws_of('key-4');
    is(take_some($four, 'four', 100), 100, 'it can have what is its own');

    # nginx calls sockets left that a leaving worker has at the end
    $_->disconnect for @more, $ws;
    ok(wait_for(20, sub { $server->all_worker_pids == 1 }),
       'the old workers leave');

    $server->expect_log(qr/chat_zone is full for app/);
    $t->finish;
};


# With one app there is nothing to share.

subtest 'a single app' => sub {
    my $server = Chat::Server->new(workers => 1, zone => '1m')->start;
    my @ws;
    my $st;

    for (1 .. 20) {
        push @ws, Chat::WebSocket->established(port => $server->port);
        last if (take($ws[-1], "x$_"))[0] < CHANNELS;
    }

    $st = from_json(Chat::HTTP->new(port => $server->port)
                        ->get('/chat_status')->{body});

    is($st->{per_app}[0]{zone_held_bytes}, $st->{zone_size_bytes},
       'it can have all');
    $server->expect_log(qr/chat_zone is full for app/);
    $server->finish;
};


done_testing();
