# Users (P69-P76): sign-in, events to a user, watchlists.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::HTTP qw(from_text);
use Chat::Pusher qw(sign user_auth channel_auth send_subscribe subscribe_to
                    signin is_event is_refused is_error events_of);
use Chat::Server qw(APP_KEY APP_SECRET wait_for);

my $serial = 0;


# A user that no subtest has had.

sub fresh { return sprintf 'user-%04d', ++$serial }


sub signed_in {
    my ($e, $data, $name) = @_;

    is($e->{event}, 'pusher:signin_success', "$name: signin_success")
        or diag(join ' ', %$e);
    ok(!exists $e->{channel}, "$name: no channel");

    my $got = ref $e->{data} ? $e->{data} : from_text($e->{data});
    ok($got->{user_data} eq $data, "$name: user_data is identical");
}


# Signs in, or the test ends.

sub enter {
    my ($ws, $id, %more) = @_;

    my $e = signin($ws, { id => $id, %more });

    die "sign-in: $e->{raw}" if $e->{event} ne 'pusher:signin_success';

    return $ws;
}


# The state that a watchlist event tells: "online: a b; offline: c".

sub watched {
    my ($e) = @_;

    return join ' ', %$e
        if ($e->{event} || '') ne 'pusher_internal:watchlist_events';
    return 'a channel' if exists $e->{channel};
    return 'data is no string' if ref $e->{data};

    my $events = from_text($e->{data})->{events};

    return join '; ', sort map {
        "$_->{name}: " . join ' ', sort @{$_->{user_ids}}
    } @$events;
}


subtest 'P69: the vectors' => sub {
    is(sign('app-secret-1', '10.20::user::{"id":"7","watchlist":["8","9"]}'),
       'a554f6bf06318562e80d845365d21372f9dc72f5fdcca7ced763c34983fcb8ff',
       'of this project');
    is(sign('7ad3773142a6692b25b8', '1234.1234::user::{"id":"12345"}'),
       '4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba',
       'the official one');
};


sub tests {
    my ($t) = @_;

    subtest 'P69: sign-in' => sub {
        for my $data ('{"id":"7","watchlist":["8","9"]}', '{"id":"12345"}',
                      " { \"id\" : \"7\" ,\n\"x\":[1.50,\"\\u00e9\x{e9}\"] } ",
                      '{"id":"a_b-c=d@e,f.g;h"}',
                      '{"id":"' . 'i' x 128 . '"}',
                      '{"id":"7","user_info":{"name":"\u2028"}}',
                      '{"id":"7","user_info":{},"watchlist":[],"z":null}',
                      '{"id":"7","watchlist":null}')
        {
            my $ws = $t->ws;
            my $e = signin($ws, $data);

            signed_in($e, $data, $data);
            events_of($ws);        # the watchlist
        }

        my $ws = $t->ws;
        my $data = '{"id":"7"}';

        $ws->send_event({ event => 'pusher:signin', data => Chat::HTTP::json_bytes(
            { user_data => $data, auth => user_auth($ws, $data) }) });
        signed_in($ws->next_event, $data, 'P22: data as a string');
    };


    subtest 'P70: refused' => sub {
        my ($ws, $other) = $t->spread(2);
        my $data = '{"id":"7"}';
        my $sig = sign(APP_SECRET, $ws->socket_id . "::user::$data");
        my $flip = $sig;
        substr($flip, 0, 1) =~ tr/0-9a-f/1-9a-f0/;

        for my $auth (APP_KEY . ":$flip", APP_KEY . ':' . '0' x 64,
                      APP_KEY . ':', APP_KEY . ":$sig" . '0',
                      APP_KEY . ':' . substr($sig, 0, 63),
                      APP_KEY . "::user::$sig", '', $sig,
                      user_auth($other, $data), user_auth($ws, "$data "),
                      channel_auth($ws, 'private-x'),
                      APP_KEY . ':' . sign(APP_SECRET, $ws->socket_id
                                           . ":user:$data"),
                      user_auth($ws, $data, secret => 'other-secret'),
                      user_auth($ws, $data, key => 'other-key',
                                secret => 'other-secret'))
        {
            $ws->send_event({ event => 'pusher:signin', data => {
                auth => $auth, user_data => $data } });
            is_error($ws, undef, qr/\S/, "auth $auth");
        }

        for my $bad ('', 'x', '[]', '"7"', 'null', '{}', '{"id":""}',
                     '{"id":7}', '{"id":null}', '{"id":["7"]}',
                     '{"id":{}}', '{"id":true}', '{"Id":"7"}',
                     '{"id":"a b"}', '{"id":"a/b"}', '{"id":"a:b"}',
                     '{"id":"a#b"}', "{\"id\":\"\x{e9}\"}",
                     '{"id":"' . 'i' x 129 . '"}', '{"id":"7"',
                     '{"id":"7","user_info":[]}',
                     '{"id":"7","user_info":"x"}',
                     '{"id":"7","watchlist":{}}',
                     '{"id":"7","watchlist":"8"}',
                     '{"id":"7","watchlist":[8]}',
                     '{"id":"7","watchlist":[null]}')
        {
            $ws->send_event({ event => 'pusher:signin', data => {
                auth => user_auth($ws, $bad), user_data => $bad } });
            is_error($ws, undef, qr/\S/, "user_data $bad");
        }

        for my $frame ('{"event":"pusher:signin"}',
                       '{"event":"pusher:signin","data":{}}',
                       '{"event":"pusher:signin","data":null}',
                       '{"event":"pusher:signin","data":{"auth":"x"}}',
                       '{"event":"pusher:signin","data":{"user_data":{"id":"7"}}}',
                       '{"event":"pusher:signin","data":{"user_data":null}}',
                       '{"event":"pusher:signin","data":{"user_data":"{\"id\":\"7\"}"}}')
        {
            $ws->send_text($frame);
            is_error($ws, undef, qr/\S/, $frame);
        }

        $ws->send_text('{"event":"pusher:signin","data":{}}');
        is_error($ws, undef, qr/^Missing parameter: data\.user$/,
                 '2.5: without user_data');

        $t->publish('#server-to-user-7', 'secret');
        $t->nothing('P70: nobody is signed in', $ws);
        signed_in(signin($ws, $data), $data, 'P70: the socket is good');
    };


    subtest 'P71: #server-to-user-ID' => sub {
        my ($ws, $other) = $t->spread(2);
        my ($u, $v) = (fresh(), fresh());

        for my $channel ("#server-to-user-$u", '#server-to-user-') {
            send_subscribe($ws, $channel);
            is_refused($ws, $channel, qr/\S/, "not signed in: $channel");
            send_subscribe($ws, $channel,
                           auth => channel_auth($ws, $channel));
            is_refused($ws, $channel, qr/\S/, "not with a signature either");
        }

        enter($ws, $u);
        enter($other, $v);

        my $e = subscribe_to($ws, "#server-to-user-$u");
        is_event($e, 'pusher_internal:subscription_succeeded',
                 "#server-to-user-$u", '{}', 'signed in');

        for my $channel ("#server-to-user-$v", '#server-to-user-',
                         "#server-to-user-${u}x", "#Server-to-user-$u",
                         "#server-to-user-" . uc $u, "#$u", '#',
                         "server-to-user-$u#")
        {
            send_subscribe($ws, $channel);
            is_refused($ws, $channel, qr/\S/, "another's: $channel");
        }

        send_subscribe($ws, "#server-to-user-$u");
        is_error($ws, undef, qr/^Existing subscription to channel #server-to-user-$u$/,
                 'twice');

        my $data = $t->publish("#server-to-user-$u", 'to u');
        is_event($ws->next_event, 'news', "#server-to-user-$u", $data, 'comes');
        $t->nothing('once, and to nobody else', $ws, $other);

        is(subscribe_to($ws, "server-to-user-$u")->{data}, '{}',
           'without # it is a public name');
    };


    subtest 'P72: events to a user' => sub {
        my ($u, $v) = (fresh(), fresh());
        my @mine = map { enter($_, $u) } $t->spread(4);
        my @others = (enter($t->ws, $v), $t->ws, enter($t->ws, "${u}x"));

        subscribe_to($mine[0], "#server-to-user-$u");
        # a public channel and a presence membership are no sign-in
        subscribe_to($others[1], $u);

        for my $n (1 .. 3) {
            my $data = $t->publish("#server-to-user-$u", "event $n");

            is_event($_->next_event, 'news', "#server-to-user-$u", $data,
                     "event $n: every socket, subscribed or not") for @mine;
        }

        $t->nothing('P72: once each, and nobody else', @mine, @others);

        # the sender's own socket
        $t->publish("#server-to-user-$u", 'x',
                    socket_id => $mine[1]->socket_id);
        is($_->next_event->{event}, 'news', 'the others') for @mine[0, 2, 3];
        $t->nothing('socket_id is left out', $mine[1]);

        # another app's user of that name
        my $theirs = $t->ws_of('other-key');
        signin($theirs, { id => $u }, key => 'other-key',
               secret => 'other-secret');
        $t->publish("#server-to-user-$u", 'ours');
        is($_->next_event->{event}, 'news', 'ours') for @mine;
        my $data = $t->publish("#server-to-user-$u", 'theirs',
                               path => '/other');
        is($theirs->next_event->{data}, $data, 'theirs, and not ours');
        $t->nothing('ours do not get theirs', @mine);

        $t->close_all(@mine);
        $t->publish("#server-to-user-$u", 'to nobody');
        $t->nothing('nobody gets what is sent to nobody', @others);
    };


    subtest 'P73: signing in again' => sub {
        my ($ws) = $t->spread(1);
        my ($u, $v) = (fresh(), fresh());

        enter($ws, $u);
        my $again = "{\"id\":\"$u\",\"x\":1}";
        signed_in(signin($ws, $again), $again, 'as the same user');

        $ws->send_event({ event => 'pusher:signin', data => {
            auth => user_auth($ws, "{\"id\":\"$v\"}"),
            user_data => "{\"id\":\"$v\"}" } });
        is_error($ws, undef, qr/\S/, 'as another');

        $t->publish("#server-to-user-$v", 'to v');
        my $data = $t->publish("#server-to-user-$u", 'to u');
        is_event($ws->next_event, 'news', "#server-to-user-$u", $data,
                 'the first stays');
        $t->nothing('nothing of the other, once', $ws);
    };


    subtest 'P74 P75: watchlists' => sub {
        my ($ws, $v1, $v2, $w1) = $t->spread(4);
        my ($u, $v, $w, $x) = map { fresh() } 1 .. 4;

        enter($v1, $v);
        enter($ws, $u, watchlist => [ $v, $w, $x ]);
        is(watched($ws->next_event), "offline: $w $x; online: $v",
           'P74: who is and who is not');

        enter($w1, $w);
        is(watched($ws->next_event), "online: $w", 'P75: one comes');
        enter($v2, $v);
        $t->nothing('P75: a second socket is no news', $ws);

        $t->close_all($v1);
        $t->nothing('P75: nor is the end of one of two', $ws);
        $v2->disconnect;
        is(watched($ws->next_event(15)), "offline: $v",
           'P75: the last one ends');

        enter($v1 = $t->ws, $v);
        is(watched($ws->next_event), "online: $v", 'and comes back');

        $w1->send_close(1000);
        is(watched($ws->next_event(15)), "offline: $w", 'a proper close');
        $t->nothing('nothing else', $ws);

        # lists of one kind only, or of nobody
        my $e = enter($t->ws, fresh(), watchlist => [ $v ])->next_event;
        is(watched($e), "online: $v", 'P74: an empty list is left out');
        $e = enter($t->ws, fresh(), watchlist => [ $w ])->next_event;
        is(watched($e), "offline: $w", 'P74: so is the other');
        ok(enter($t->ws, fresh(), watchlist => [])->nothing_waits,
           'an empty watchlist says nothing');
        ok(enter($t->ws, fresh())->nothing_waits, 'none says nothing');

        # who is not signed in is not online, whatever it subscribes to
        my $anon = $t->ws;
        Chat::Pusher::join_presence($anon, 'presence-p', $x);
        $t->nothing('a presence membership is no sign-in', $ws);
    };


    subtest 'signing in again with another watchlist' => sub {
        my ($ws, $v1, $other) = $t->spread(3);
        my ($u, $v, $w, $x) = map { fresh() } 1 .. 4;

        # the last sign-in counts, all of it

        enter($v1, $v);
        enter($ws, $u, watchlist => [ $w ], user_info => { n => 1 });
        is(watched($ws->next_event), "offline: $w", 'the first list');
        enter($ws, $u, watchlist => [ $v, $x, $v ], user_info => { n => 2 });
        is(watched($ws->next_event), "offline: $x; online: $v",
           'the second list');

        enter(my $w1 = $t->ws, $w);
        $t->nothing('who is not in it is not watched any more', $ws);
        enter(my $x1 = $t->ws, $x);
        is(watched($ws->next_event), "online: $x", 'who is new in it, is');

        enter($ws, $u, watchlist => [ $x, $w ], user_info => { n => 2 });
        is(watched($ws->next_event), "online: $w $x",
           'who was in both is told, too');
        $v1->disconnect;
        $x1->send_close(1000);
        is(watched($ws->next_event(15)), "offline: $x", 'and still watched');

        enter($ws, $u, user_info => { n => 3 });
        $w1->send_close(1000);
        $t->nothing('none: nobody is', $ws);

        subscribe_to($other, 'presence-info',
                     data => Chat::Pusher::member('o'));
        subscribe_to($ws, 'presence-info');
        is_deeply(from_text($other->next_event->{data}),
                  { user_id => $u, user_info => { n => 3 } },
                  'user_info is that of the last one');
    };


    subtest 'P74: one that watches itself, and others do so at a time' => sub {
        my @users = map { fresh() } 1 .. 4;
        my @ws = $t->spread(4);

        for my $i (0 .. 3) {
            enter($ws[$i], $users[$i], watchlist => \@users);

            my $on = join ' ', sort @users[0 .. $i];
            my $off = join ' ', sort @users[$i + 1 .. 3];

            is(watched($ws[$i]->next_event),
               ($off ne '' ? "offline: $off; " : '') . "online: $on",
               "user $i");
            is(watched($ws[$_]->next_event), "online: $users[$i]",
               "told to user $_") for 0 .. $i - 1;
        }

        $t->nothing('that is all', @ws);
    };


    subtest 'P76: 101 users' => sub {
        my ($ws, $first, $last) = $t->spread(3);
        my @list = map { fresh() } 1 .. 101;

        enter($first, $list[99]);
        enter($last, $list[100]);
        my $data = Chat::HTTP::json_bytes({ id => fresh(),
                                            watchlist => \@list });
        signed_in(signin($ws, $data), $data, 'sign-in succeeds');
        is_error($ws, 4302, qr/\S/, 'P76: then 4302');
        is(watched($ws->next_event),
           'offline: ' . join(' ', sort @list[0 .. 98])
           . "; online: $list[99]", 'P76: the first 100');

        $last->disconnect;
        enter($t->ws, $list[100]);
        $t->nothing('P76: the last one is not watched', $ws);

        my $hundred = $t->ws;
        enter($hundred, fresh(), watchlist => [ @list[0 .. 99] ]);
        is($hundred->next_event->{event}, 'pusher_internal:watchlist_events',
           '100 are no error');
    };


    subtest 'watchlist off' => sub {
        my $v = fresh();
        my %app = (key => 'unwatched', secret => 'secret-3');
        my $ws = $t->ws_of('unwatched');

        is(signin($ws, { id => fresh(), watchlist => [ $v ] }, %app)->{event},
           'pusher:signin_success', 'signed in');
        signin($t->ws_of('unwatched'), { id => $v }, %app);
        ok($ws->nothing_waits, 'no watchlist events');
    };


    subtest 'pipelined, in order' => sub {
        my ($ws) = $t->spread(1);
        my $u = fresh();
        my $data = "{\"id\":\"$u\"}";

        $ws->send_raw(join '', map {
            $ws->frame(payload => Chat::HTTP::json_bytes($_))
        } { event => 'pusher:signin', data => {
                auth => user_auth($ws, $data), user_data => $data } },
          map { { event => 'pusher:subscribe', data => {
                auth => /^private/ ? channel_auth($ws, $_) : '',
                channel => $_ } } } "#server-to-user-$u", 'private-x', 'y');

        signed_in($ws->next_event, $data, 'first the sign-in');
        is($ws->next_event->{channel}, $_, "then $_")
            for "#server-to-user-$u", 'private-x', 'y';
    };
}


# Who was on a killed worker is offline.

sub killed {
    my ($t) = @_;

    my $server = $t->server;
    my ($watcher, $v) = $t->spread(2);
    my ($vid, $uid) = (fresh(), fresh());

    enter($v, $vid);
    enter($watcher, $uid, watchlist => [ $vid ]);
    is(watched($watcher->next_event), "online: $vid", 'online');

    $t->kill_worker($v->header('X-Worker'));
    is(watched($watcher->next_event(15)), "offline: $vid", 'offline');

    wait_for(5, sub { $server->worker_pids == 4 });
    $server->{workers_seen} = [ $server->worker_pids ];
}


for my $workers (1, 4) {
    my $t = Chat::Pusher->new(workers => $workers, apps => <<'END');
    chat_app 3 { key unwatched; secret secret-3; watchlist off; }
END

    subtest "$workers workers" => sub { tests($t) };
    subtest 'P75: a worker is killed' => sub { killed($t) } if $workers > 1;
    $t->finish;
}

done_testing();
