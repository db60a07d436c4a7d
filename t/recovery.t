# Recovery by token: a client that comes back gets what it missed, and is told
# the truth about it.  The rows R are those of t/README.md.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time);

use Chat::API;
use Chat::HTTP qw(from_text);
use Chat::Pusher qw(send_subscribe member is_event is_refused client_event
                    users_of signin);
use Chat::Server qw(slurp wait_for);
use Chat::Token qw(fresh_token fresh path_of enter is_new is_recovered
                   has_heard acknowledge read_events);
use Chat::WebSocket qw(PING PONG CLOSE);

my $t = Chat::Pusher->new(workers => 2, zone => '8m',
    app  => 'client_events on;',
    http => "log_format seen '\$request|\$request_uri|\$uri';",
    more => <<'END');
        location /apps/ { chat_api; }
        location /closed/ { deny all; chat_websocket; }

        location /logged/app/ {
            chat_websocket;
            access_log logs/access.log seen;
        }
END
my $api = Chat::API->new(port => $t->port);


sub client { return Chat::Token::client($t, @_) }


# How much counters have grown: grown(code, 'name' or 'list name', ...).

sub grown {
    my ($code, @names) = @_;
    my $read = sub {
        my $status = $t->status;

        return map { my ($name, $in) = reverse split / /;
                     $in ? $status->{$in}{$name} : $status->{$name} } @names;
    };

    my @before = $read->();

    $code->();

    return join ' ', map { $_ - shift @before } $read->();
}


# The next event that is no question: one may come wherever a second has passed
# since the last pong.  It is left unanswered, and no other comes before it is.

sub next_event {
    my ($ws) = @_;

    my $e;

    do { $e = $ws->next_event(10) } while ($e->{event} // '') eq 'pusher:ping';

    return $e;
}


subtest 'the URL and the greeting' => sub {
    my $ws = client(fresh_token());

    is($ws->{recovery}, 120, 'R2: how long a client may be away');
    is($t->ws->{recovery}, undef, 'R1: without a token nothing is said');

    for my $token ('x' x 16, 'x' x 64, 'Az09_-Az09_-Az09') {
        is(client($token)->{recovery}, 120, 'R1: ' . length $token);
    }

    for my $token ('x' x 15, 'x' x 65, '', 'x' x 15 . '.', 'x' x 16 . ';',
                   'x' x 15 . '%20')
    {
        my $bad = Chat::WebSocket->new(port => $t->port, path => path_of($token));
        my $e = $bad->next_event;

        is($e->{event}, 'pusher:error', "R1: '$token' is refused");
        is($e->{data}{code}, 4005, 'with 4005');
        like($e->{data}{message}, qr/16 to 64/, 'and why');
        is($bad->wait_close, 4005, 'and closed');
    }
};


sub comes_back {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $ws = client($token);

    is_new($ws, $channel, 'R5: a first subscription');

    my $seen = $t->publish($channel, 'seen');
    read_events($ws, $channel, $seen);

    my $at = acknowledge($ws);
    my @missed = map { $t->publish($channel, "missed $_") } 1 .. 3;

    # they have come to the socket; nothing says that the page has them
    is_event(next_event($ws), 'news', $channel, $_, 'live') for @missed;
    $ws->disconnect;

    push @missed, map { $t->publish($channel, "missed $_") } 4 .. 6;

    my $back = client($token);
    is(is_recovered($back, $channel, \@missed, 'R5, R6'), $at,
       'from what was acknowledged');

    my $live = $t->publish($channel, 'live');
    is_event(next_event($back), 'news', $channel, $live, 'live');

    # R10: cut again before the client has acknowledged what was sent again
    $back->disconnect;

    my $again = client($token);
    is_recovered($again, $channel, [ @missed, $live ], 'R10: a second cut');
    acknowledge($again);
    $again->disconnect;

    is_recovered(client($token), $channel, [], 'R10: acknowledged at last');

    return;
}


subtest 'a client that comes back' => sub {
    is(grown(\&comes_back, 'recoveries', 'recoveries_by_result new',
             'recoveries_by_result ring', 'recovered_events',
             'acknowledgements'),
       '4 1 3 13 3', 'R31: counted');
};


subtest 'who has got nothing is not asked' => sub {
    my ($idle, $channel) = (client(fresh_token()), fresh('chat-'));

    is_new($idle, $channel, 'R9');
    read_events($idle, $channel, $t->publish($channel, 'seen'));
    acknowledge($idle);

    # the other one is asked when a second is over, of the first one, too
    my $other;

    for (1 .. 100) {
        $other = client(fresh_token());
        last if $other->header('X-Worker') eq $idle->header('X-Worker');
    }

    is_new($other, $channel = fresh('chat-'), 'R9: of the same worker');
    read_events($other, $channel, $t->publish($channel, 'seen'));
    acknowledge($other);
    ok($idle->nothing_waits, 'R9: the idle one is not asked again');
};


subtest 'a floor stands until its replay is acknowledged' => sub {
    my ($token, $one, $two) = (fresh_token(), fresh('one-'), fresh('two-'));
    my $ws = client($token);

    is_new($ws, $_, 'R10') for $one, $two;
    $ws->disconnect;

    my $first = $t->publish($one, 'first');
    my $second = $t->publish($two, 'second');

    # the second channel is not authorised yet when the client acknowledges
    my $back = client($token);
    is_recovered($back, $one, [ $first ], 'R10');
    acknowledge($back);
    $back->disconnect;

    my $again = client($token);
    is_recovered($again, $one, [], 'R10: acknowledged');
    is_recovered($again, $two, [ $second ], 'R10: not subscribed to yet');
};


subtest 'a ping that was out before the replay' => sub {
    my ($token, $one, $two) = (fresh_token(), fresh('one-'), fresh('two-'));
    my $ws = client($token);

    is_new($ws, $_, 'R10') for $one, $two;
    $ws->disconnect;

    my $second = $t->publish($two, 'second');

    my $back = client($token);
    is_recovered($back, $one, [], 'R10');
    my $live = $t->publish($one, 'live');
    read_events($back, $one, $live);

    my $e = $back->next_event(10);
    is($e->{event}, 'pusher:ping', 'asked, before the replay');

    is_recovered($back, $two, [ $second ], 'R10: sent behind the ping');
    $back->send_event({ event => 'pusher:pong', data => {} });
    $t->fence($back);
    $back->disconnect;

    is_recovered(client($token), $two, [ $second ],
                 'R10: the pong says nothing of it');
};


subtest 'what is not sent again' => sub {
    my ($token, $channel) = (fresh_token(), fresh('presence-'));
    my $other = $t->ws;
    my $ws = client($token);
    my $sender = $ws->socket_id;

    is_new($ws, $channel, 'R5: presence', data => member('ann'));
    $ws->disconnect;

    send_subscribe($other, $channel, data => member('bob'));
    $t->fence($other);

    my $own = $t->publish($channel, 'own', socket_id => $sender);
    my $news = $t->publish($channel, 'news');

    my $back = client($token);
    my ($told, $data) = enter($back, $channel, data => member('ann'));

    ok($told->{recovered}, 'R7: recovered');
    is($told->{missed}, 1, 'R7: neither members nor what is from itself');
    is(users_of($data->{presence}), 'ann bob', 'R5: the members are there');
    is_event($back->next_event, 'news', $channel, $news, 'R7: the other one');
    $t->nothing('R6: and nothing else', $back);

    # by any id that it has had: or it would come now, and not next time
    $t->publish($channel, 'own', socket_id => $sender);
    $t->nothing('R7: nor live', $back);
};


subtest 'client events' => sub {
    my ($token, $channel) = (fresh_token(), fresh('private-'));
    my ($other, $ws) = ($t->ws, client($token));

    send_subscribe($other, $channel);
    is_new($ws, $channel, 'R7');
    $t->fence($other);

    client_event($ws, $channel, 'client-own', 'mine');
    is_event($other->next_event, 'client-own', $channel, 'mine', 'sent');
    $ws->disconnect;

    client_event($other, $channel, 'client-news', 'theirs');
    ok($other->nothing_waits, 'and taken');

    my $back = client($token);
    my ($told) = enter($back, $channel);

    is($told->{missed}, 1, 'R7: not what is its own');
    is_event($back->next_event, 'client-news', $channel, 'theirs',
             'R7: a client event is sent again');
    $t->nothing('R7: and nothing else', $back);
};


subtest 'cache channels' => sub {
    my ($token, $channel) = (fresh_token(), fresh('cache-'));
    my $ws = client($token);

    is_new($ws, $channel, 'R7', later => 1);
    is($ws->next_event->{event}, 'pusher:cache_miss', 'a first one');
    has_heard($ws);
    $ws->disconnect;

    $ws = client($token);
    is_recovered($ws, $channel, [], 'R7: still nothing');
    $t->nothing('R7: no cache_miss then', $ws);
    $ws->disconnect;

    my $news = $t->publish($channel, 'news');
    my $back = client($token);

    is_recovered($back, $channel, [ $news ], 'R7');
    $t->nothing('R7: no cached event besides', $back);
    $back->disconnect;

    my $new = client(fresh_token());
    is_new($new, $channel, 'R7: another client', later => 1);
    is_event($new->next_event, 'news', $channel, $news, 'gets the cached one');
};


subtest 'events to a user' => sub {
    my ($token, $user) = (fresh_token(), fresh('user'));
    my $channel = "#server-to-user-$user";
    my $own = sub {
        my ($ws, $id) = @_;

        is(signin($ws, { id => $id })->{event}, 'pusher:signin_success',
           "signed in as $id");

        my $e = $ws->next_event;
        is($e->{event}, 'pusher:recovery', 'told of recovery');

        return from_text($e->{data});
    };

    my $ws = client($token);
    ok(!$own->($ws, $user)->{recovered}, 'R29: a first sign-in');
    has_heard($ws);
    $ws->disconnect;

    my $news = trigger($channel, 'for you');

    my $other = client($token);
    ok(!$own->($other, "$user-2")->{recovered}, 'R29: as another user');
    $t->nothing('R29: who gets nothing', $other);
    $other->disconnect;

    my $back = client($token);
    my $told = $own->($back, $user);
    ok($told->{recovered}, 'R29: as the same user');
    is($told->{missed}, 1, 'R29: an event');
    is_event($back->next_event, 'news', $channel, $news, 'R29: sent again');

    $back->send_event({ event => 'pusher:subscribe',
                        data => { channel => $channel } });
    is_deeply(from_text(next_event($back)->{data}),
              { recovered => JSON::PP::true }, 'R5: said by the answer');
};


subtest 'not by accident' => sub {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));

    is_new(client($token), $channel, 'unknown token');

    my $ws = client($token);
    is_recovered($ws, $channel, [], 'the same token');
    $ws->unsubscribe($channel);
    $t->fence($ws);
    $ws->disconnect;

    is_new(client($token), $channel, 'R5: unsubscribed meanwhile');

    my $app = $t->ws(path => "/app/other-key;$token?protocol=7&client=js");
    is_new($app, $channel, 'R29: another app');
};


subtest 'a token opens nothing' => sub {
    my ($token, $channel) = (fresh_token(), fresh('private-'));
    my $ws = client($token);

    is_new($ws, $channel, 'R8');
    $ws->disconnect;

    my $missed = $t->publish($channel, 'missed');
    my $back = client($token);

    send_subscribe($back, $channel, secret => 'another');
    is_refused($back, $channel, qr/signature/i, 'R8: signed by somebody else');
    send_subscribe($back, $channel, auth => undef);
    is_refused($back, $channel, qr/signature/i, 'R8: not signed');

    is_recovered($back, $channel, [ $missed ], 'R8: signed');
};


subtest 'two clients with one token' => sub {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $old = client($token);

    is_new($old, $channel, 'R3');

    my $new = client($token);
    is_recovered($new, $channel, [], 'R3: taken over');

    my $news = $t->publish($channel, 'news');
    read_events($_, $channel, $news) for $old, $new;

    # a close frame is no use of the token, nor what comes along with one: a
    # frozen link may deliver both when the client is long at another one
    $old->send_raw($old->frame(payload => '{"event":"pusher:ping","data":{}}')
                   . $old->frame(opcode => CLOSE, payload => pack('n', 1000)));
    $old->{closing} = 1;
    is(next_event($old)->{event}, 'pusher:pong', 'R4: it is answered');
    is($old->wait_close, 1000, 'R4: the old one closes');
    $new->disconnect;
    is_recovered(client($token), $channel, [ $news ], 'R4: not shared');

    my ($one, $two) = (client($token), client($token));
    client_event($one, $channel, 'client-x', {});
    $t->fence($one);

    is(grown(sub { is_new($two, $channel, 'R4: shared by two') },
             'recoveries_by_result shared'), '1', 'R31: counted');
    is($t->status->{tokens_shared}, 1, 'R31: counted');

    my @lines = $t->server->error_log =~ /\[info\].*use the same chat token/g;
    is(@lines, 1, 'R4: one line in the log');
};


subtest 'a client that is no pusher-js' => sub {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $ws = client($token, 'java');

    is_new($ws, $channel, 'R11');

    my $news = $t->publish($channel, 'news');
    read_events($ws, $channel, $news);

    my $f = $ws->next_frame(10);

    is($f->[0], PING, 'R11: asked by a Ping of WebSocket');
    like($f->[1], qr/^[0-9a-f]+\z/, 'with a position');
    $t->fence($ws);
    $ws->disconnect;

    is_recovered(client($token, 'java'), $channel, [], 'R11: acknowledged');
};


subtest 'a Pong of its own accord' => sub {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $ws = client($token, 'java');

    is_new($ws, $channel, 'R11');
    $ws->{auto_pong} = 0;

    my $news = $t->publish($channel, 'news');
    read_events($ws, $channel, $news);

    is($ws->next_frame(10)->[0], PING, 'R11: asked');

    # as some send them to keep a connection, whatever has come by then
    $ws->send_frame(opcode => PONG, payload => 'heartbeat');
    $t->fence($ws);
    $ws->disconnect;

    is_recovered(client($token, 'java'), $channel, [ $news ],
                 'R11: that is no answer');
};


# More than the ring has.

sub overwrite {
    my $http = Chat::HTTP->new(port => $t->port);
    my %wrong;

    for (1 .. 600) {
        my $status = $http->post('/publish', { content => 'x' x 9000 },
            { 'X-Channel' => 'elsewhere', 'X-Event' => 'x' })->{status};

        $wrong{$status}++ if $status != 201;
    }

    is_deeply(\%wrong, {}, 'the ring is written over');
}


sub trigger {
    my ($channel, $data) = @_;

    my $res = $api->trigger({ name => 'news', channel => $channel,
                              data => $data });

    is($res->{status}, 200, "triggered on $channel") or diag($res->{body});

    return $data;
}


subtest 'the ring is written over' => sub {
    my ($token, $idle) = (fresh_token(), fresh('idle-'));
    my ($stored, $mixed, $gap) = map { fresh("$_-") } qw(stored mixed gap);
    my $ws = client($token);

    is_new($ws, $_, 'R15') for $stored, $mixed, $gap, $idle;

    # what is acknowledged does not come again
    my $seen = $t->publish($stored, 'seen');
    read_events($ws, $stored, $seen);
    acknowledge($ws);
    $ws->disconnect;

    my @stored = map { $t->publish($stored, "stored $_") } 1 .. 3;
    $t->publish($mixed, 'stored');
    trigger($gap, 'not stored');
    overwrite();
    push @stored, map { $t->publish($stored, "stored $_") } 4 .. 6;
    my $late = trigger($mixed, 'not stored');

    my $back = client($token);
    is_recovered($back, $idle, [], 'R15: a channel that had no event');
    is_recovered($back, $stored, \@stored, 'R15: from the history');
    acknowledge($back);
    is(grown(sub {
           is_new($back, $gap, 'R15: an event that is not stored');
           is_new($back, $mixed, 'R15: the same beside stored ones');
       }, 'recoveries_by_result gone'), '2', 'R31: counted');

    my $live = $t->publish($stored, 'live');
    read_events($back, $stored, $live);
    ok($t->status->{recoveries_by_result}{history} >= 1, 'R31: counted');
};


subtest 'too much' => sub {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $ws = client($token);

    is_new($ws, $channel, 'R16');
    $ws->disconnect;
    my @all = map { $t->publish($channel, "n$_") } 1 .. 1000;

    is_recovered(client($token), $channel, \@all, 'R16: a thousand');
    $t->publish($channel, 'one more');

    is(grown(sub { is_new(client($token), $channel, 'R16: more',
                          later => 1) },
             'recoveries_by_result too_much'), '1', 'R31: counted');
};


# chat_send_buffer is 1m

subtest 'too long' => sub {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $ws = client($token);

    is_new($ws, $channel, 'R16');
    $ws->disconnect;

    my @all = map { $t->publish($channel, 'x' x 10000) } 1 .. 50;
    is_recovered(client($token), $channel, \@all, 'R16: less than half of it');

    $t->publish($channel, 'x' x 10000) for 1 .. 5;
    is_new(client($token), $channel, 'R16: more', later => 1);
    is_new(client($token), $channel, 'R5: it may not have heard of that');
    is_recovered(client($token), $channel, [], 'R5: it has heard of it');
};


# Nothing tells a page that is new from one whose session is gone.

subtest 'a first answer that is lost' => sub {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));

    is_new(client($token), $channel, 'R5: at first', later => 1);

    my $back = client($token);
    is_new($back, $channel, 'R5: it may not have heard of that');
    $back->disconnect;

    my $news = $t->publish($channel, 'news');
    is_recovered(client($token), $channel, [ $news ], 'R5: it has');
};


subtest 'what must not come back' => sub {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $ws = client($token);

    is_new($ws, $channel, 'R14');
    $ws->send_close(1001);
    is($ws->wait_close, 1001, 'a page in the back/forward cache');
    is_recovered(client($token), $channel, [], 'R14: 1001');
};


subtest 'a killed worker' => sub {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my ($ws) = client($token);

    is_new($ws, $channel, 'R21');
    read_events($ws, $channel, $t->publish($channel, 'seen'));
    acknowledge($ws);

    # nothing says that the page has this one
    my $news = $t->publish($channel, 'news');
    read_events($ws, $channel, $news);

    $t->kill_worker($ws->header('X-Worker'));

    is_recovered(client($token), $channel,
                 [ $news, $t->publish($channel, 'more') ],
                 'R21: from what was acknowledged');
};


# A client that has read an event which it has not acknowledged, and its worker
# leaves: it is asked by that.  More than a second behind its pong it is asked
# without that, too, and then another client has to do.

sub is_left {
    my ($name) = @_;

    my @left;

    for (1 .. 20) {
        my ($token, $channel) = (fresh_token(), fresh('chat-'));
        my $ws = client($token);

        is_new($ws, $channel, $name, later => 1);
        is($ws->next_event(10)->{event}, 'pusher:ping', "$name: asked");

        my $seen = $t->publish($channel, 'seen');
        read_events($ws, $channel, $seen);

        my $pong = time();

        $ws->send_event({ event => 'pusher:pong', data => {} });
        $t->server->reload;
        $t->{http} = Chat::HTTP->new(port => $t->port);

        my $e = $ws->next_event(10);
        is($e->{event}, 'pusher:ping', 'R19: asked once more')
            or diag($e->{raw});

        @left = ($ws, $token, $channel, $seen);
        last if time() - $pong < 1;
    }

    return @left;
}


# The end of the connection comes behind the worker's Close frame, not behind
# what it reads.

sub has_read {
    my ($ws) = @_;

    $ws->disconnect;
    ok(wait_for(20, sub { !Chat::Server::is_alive($ws->header('X-Worker')) }),
       'the worker that leaves has read that');
}


subtest 'a reload' => sub {
    my ($ws, $token, $channel) = is_left('R19');

    my $news = $t->publish($channel, 'news');
    $ws->send_event({ event => 'pusher:pong', data => {} });
    is($ws->next_event->{event}, 'pusher:error', 'R19: no event behind that');
    is($ws->wait_close, 4200, 'R19: then closed');
    has_read($ws);

    is_recovered(client($token), $channel, [ $news ], 'R19: nothing twice');
};


subtest 'a reload, and a page that is busy' => sub {
    my ($ws, $token, $channel) = is_left('R12');

    # no pong; the Close frame, which the browser answers, says it
    my $news = $t->publish($channel, 'news');
    is($ws->next_event(10)->{event}, 'pusher:error', 'R19: sent away');
    is($ws->wait_close, 4200, 'R12: the client answers the Close frame');
    has_read($ws);

    is_recovered(client($token), $channel, [ $news ], 'R12: nothing twice');
};


subtest 'a reload, and a page that closes by itself' => sub {
    my ($ws, $token, $channel, $seen) = is_left('R13');

    is($ws->next_event(10)->{event}, 'pusher:error', 'R19: sent away');

    # the link was frozen: the client had closed before it got any of that
    $ws->send_close;
    is($ws->wait_close, 4200, 'R13: both have closed');

    is_recovered(client($token), $channel, [ $seen ],
                 'R13: it acknowledges nothing');
};


subtest 'logs' => sub {
    my $token = fresh_token();
    my $file = $t->server->dir . '/logs/access.log';
    my $path = '/logged' . path_of($token);

    $t->ws(path => $path);
    $t->ws(path => $path =~ s/;/%3B/r);

    my $bad = Chat::WebSocket->new(port => $t->port,
                                   path => '/logged' . path_of('token-1'));
    is($bad->wait_close, 4005, 'a token that is too short');

    # whom nginx refuses does not get as far as the WebSocket
    is(Chat::WebSocket->new(port => $t->port,
                            path => '/closed' . path_of($token))->{status},
       403, 'refused');

    ok(wait_for(10, sub { my @lines = slurp($file) =~ /\n/g; @lines >= 3 }),
       'the log has its lines');

    my $access = slurp($file);
    my $error = $t->server->error_log;
    my $stars = '\*' x length $token;
    my $masked = qr{/logged/app/\w+(?:;|%3B)$stars};

    like($access, qr{^GET $masked\?\S+ HTTP/1.1\|$masked\?\S+\|$masked$}m,
         'R28: masked in the access log');
    like($error, qr{refused with 4005.*/logged/app/\w+;\*{7}\?},
         'R28: and in the error log');
    unlike($_, qr/token-\d/, 'R28: no token in either')
        for $access, $error;
};


$t->finish;
done_testing;
