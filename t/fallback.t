# The HTTP fallback of pusher-js (recovery.md, section 3; Pusher protocol,
# section 8), request by request, on one worker and on four.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;
use Time::HiRes qw(time);

use Chat::Fallback qw(fresh_session TYPE);
use Chat::HTTP qw(from_json);
use Chat::Pusher qw(subscribe_to join_presence member send_subscribe
                    client_event is_event is_error signin users_of);
use Chat::Server qw(APP_KEY SCALE wait_for);
use Chat::Token qw(fresh_token is_new is_recovered);

use constant { LIMIT => 262144 };

for my $workers (1, 4) {
    subtest "workers: $workers" => sub { rows($workers) };
}

done_testing();


sub rows {
    my ($workers) = @_;

    my $t = Chat::Pusher->new(
        workers => $workers,
        app     => 'client_events on;',
        apps    => <<'END',
            chat_app 3 { key off-key; secret s; enabled off; }
            chat_app 4 { key small-key; secret s; max_connections 1; }
            chat_app 5 { key tls-key; secret s; tls_only on; }
END
        more    => <<'END',
            location /pusher/ { chat_fallback; chat_cors *; }
            location /strict/ {
                chat_fallback;
                chat_cors https://good.example;
                chat_origins https://good.example https://other.example;
            }
END
    );

    my $client = sub {
        return Chat::Fallback->established(port => $t->port, @_);
    };
    my $new = sub { return Chat::Fallback->new(port => $t->port, @_) };

    subtest 'F3, F4, P107: streaming' => sub { streaming($t, $new) };
    subtest 'F4, P108: polling' => sub { polling($t, $new) };

    for my $polling (0, 1) {
        my $how = $polling ? 'polling' : 'streaming';
        my $make = sub { $client->(polling => $polling, @_) };

        subtest "F10, P109, P116: $how: the protocol" => sub {
            protocol($t, $make, $workers);
        };
        subtest "F10: $how: recovery by token" => sub { token($t, $make) };
        subtest "F3, P113: $how: refused" => sub {
            refused(sub { $new->(polling => $polling, @_) }, $client);
        };
    }

    subtest 'F6, P110: what xhr_send answers' => sub { sending($t, $client) };
    subtest 'F1: URLs' => sub { urls($t, $new) };
    subtest 'whose session it is' => sub { others($t, $client) };
    subtest 'F2, P106: CORS' => sub { cors($t, $new) };
    subtest 'F5, P112: an answer of 262,144 units' => sub {
        long($t, $client);
    };
    for my $over (0, 1) {
        subtest "F5: an answer of 262,144 units and $over" => sub {
            border($t, $client, $over);
        };
    }

    subtest 'P111: a heartbeat of the client' => sub {
        heartbeat($t, $client);
    };
    subtest 'another request takes the session over' => sub {
        taken_over($t, $client);
    };
    subtest 'requests that the browser repeats' => sub {
        repeated($t, $client);
    };
    subtest 'F8, P115: a stream that breaks' => sub { broken($t, $client) };
    subtest 'F5, F8: answers that break, and nothing is lost' => sub {
        harmless($t, $client);
    };
    subtest 'status' => sub { status($t, $client) };

    $t->finish;
}


sub streaming {
    my ($t, $new) = @_;

    my $c = $new->();

    $c->receive;

    is($c->next_line, 'o', 'F4: opened by o');

    my $e = $c->next_event;

    is($e->{event}, 'pusher:connection_established', 'then established');
    like(from_json($e->{data})->{socket_id}, qr/^\d+\.\d+$/, 'P3: socket id');
    is($c->{status}, 200, 'F3: 200');
    like($c->{head}, qr/^Cache-Control: .*no-store/mi, 'F3: no-store');
    like($c->{head}, qr/^X-Accel-Buffering: no\r$/mi, 'F3: not buffered');
    like($c->{head}, qr{^Content-Type: application/javascript; charset=UTF-8}mi,
         'its type');
    unlike($c->{head}, qr/^Content-Encoding/mi, 'not compressed');

    $c->disconnect;
}


sub polling {
    my ($t, $new) = @_;

    my $c = $new->(polling => 1);

    for my $what (qr/\Ao\n\z/, qr/\Aa\[".*connection_established.*"\]\n\z/) {
        my $res = $c->connection->request('POST', $c->path('xhr'), TYPE, '');

        is($res->{status}, 200, 'F3: 200');
        like($res->{body}, $what, 'P108: the answer ends');
        like($res->{headers}{'cache-control'}, qr/no-store/, 'no-store');
    }

    $c->receive;

    my $http = $c->{http};

    ok(!IO::Select->new($http->socket)->can_read(0), 'F7: then it waits');
    $http->close;
}


sub protocol {
    my ($t, $make, $workers) = @_;

    my ($ann, $bob) = ($make->(), $make->());
    my ($ws) = $t->ws;

    isnt($ann->socket_id, $bob->socket_id, 'two socket ids');

    is($_->send_text('{"event":"pusher:ping","data":"{}"}')->{status}, 204,
       'F6: 204') for $ann, $bob;
    is($_->next_event->{event}, 'pusher:pong', 'P13: pong') for $ann, $bob;

    # public, with all kinds of characters

    subscribe_to($_, 'room') for $ann, $bob, $ws;

    for my $text ("\x{17e}lu\x{165} \x{1f600}\x{10ffff}", "\"\\/\n\x{2028}\x0",
                  'x' x 10000, "\x{1f600}" x 2500)
    {
        my $data = $t->publish('room', $text);

        is_event($_->next_event, 'news', 'room', $data, 'P32: as published')
            for $ann, $bob, $ws;
    }

    # private, and client events both ways

    subscribe_to($_, 'private-room') for $ann, $bob, $ws;

    client_event($ann, 'private-room', 'client-a', '{"x":1}');
    is_event($_->next_event, 'client-a', 'private-room', '{"x":1}', 'P62')
        for $bob, $ws;

    client_event($ws, 'private-room', 'client-b', 'text');
    is_event($_->next_event, 'client-b', 'private-room', 'text', 'P62')
        for $ann, $bob;

    send_subscribe($ann, 'private-other', auth => APP_KEY . ':0000');
    is_error($ann, undef, qr/Invalid signature/, 'P34');
    is($ann->next_event->{event}, 'pusher:subscription_error', 'P40');

    # presence

    is(users_of(join_presence($ann, 'presence-room', 'ann')), 'ann', 'P44');
    is(users_of(join_presence($ws, 'presence-room', 'eve')), 'ann eve',
       'P44');
    is($ann->next_event->{event}, 'pusher_internal:member_added', 'P45');

    # sign-in

    is(signin($ann, { id => 'ann' })->{event}, 'pusher:signin_success', 'P69');

    # several messages in one request

    is($bob->send_list([
        map { qq({"event":"pusher:subscribe","data":{"channel":"$_"}}) } 1 .. 3
    ])->{status}, 204, 'three at a time');
    is($bob->next_event->{channel}, $_, "subscribed to $_") for 1 .. 3;

    $t->nothing('nothing else', $ann, $bob);

    ok(keys %{ $ann->{workers} } > 1, 'its requests came to several workers')
        if $workers > 1;

    $_->disconnect for $ann, $bob;
    $ws->disconnect;
}


sub token {
    my ($t, $make) = @_;

    my $token = fresh_token();
    my $channel = 'recovered-' . $token;
    my $c = $make->(token => $token);

    is(from_json($c->{established}{data})->{recovery}, 120, 'R2');
    is_new($c, $channel, 'first');
    my $live = $t->publish($channel, 'one');

    is_event($c->next_event, 'news', $channel, $live, 'live');

    my $e = $c->next_event;
    is($e->{event}, 'pusher:ping', 'R9: asked');
    $c->send_event({ event => 'pusher:pong', data => {} });

    # a pong is taken before its answer
    $c->disconnect;

    my $missed = $t->publish($channel, 'two');
    my $again = $make->(token => $token);

    is_recovered($again, $channel, [ $missed ], 'again');

    my $ws = $t->ws(path => '/app/' . APP_KEY
                            . ";$token?protocol=7&client=js");

    is_recovered($ws, $channel, [ $missed ],
                 'by WebSocket, since that was not acknowledged');
    $again->disconnect;
    $ws->disconnect;
}


sub refused {
    my ($new, $client) = @_;

    my $full = $client->(key => 'small-key');

    for (
        [ 4000, key => 'tls-key' ],
        [ 4001, key => 'no-key' ],
        [ 4003, key => 'off-key' ],
        [ 4004, key => 'small-key' ],
        [ 4005, token => 'short' ],
        [ 4007, query => 'protocol=3' ],
    ) {
        my ($code, @args) = @$_;
        my $c = $new->(@args);

        $c->receive;
        is($c->next_line, 'o', "$code: opened");
        like($c->next_line, qr/^c\[$code,".+"\]$/, "$code: and closed");
        is($c->{status}, 200, "$code: 200");
        is($c->send_text('{}')->{status}, 404, "$code: and gone");
    }

    $full->disconnect;
}


sub sending {
    my ($t, $client) = @_;

    my $c = $client->();

    for (
        [ 204, '[]',                    'a heartbeat' ],
        [ 204, ' [ ] ',                 'with spaces' ],
        [ 204, '["{}"]',                'a message of nothing' ],
        [ 500, '',                      'nothing' ],
        [ 500, '[',                     'broken JSON' ],
        [ 500, '{}',                    'an object' ],
        [ 500, '"x"',                   'a string' ],
        [ 500, '[1]',                   'a number' ],
        [ 500, '["{}",[]]',             'another array' ],
        [ 500, "[\"\xff\"]",            'not UTF-8' ],
        [ 413, '["' . 'x' x 80000 . '"]', 'too long a message' ],
        [ 413, '["' . 'x' x 2e6 . '"]', 'too long a body' ],
    ) {
        my ($status, $body, $name) = @$_;
        my $res = $c->send_list($body);

        is($res->{status}, $status, "$status: $name");
        like($res->{headers}{'cache-control'}, qr/no-store/, 'no-store')
            unless $status == 413;
    }

    is($c->next_event->{event}, 'pusher:error', 'P20: only that is heard of');

    my $none = Chat::Fallback->new(port => $t->port);

    is($none->send_list('[]')->{status}, 404, '404: unknown session');
    is($none->send_list('[')->{status}, 500, '500: and broken JSON');

    for my $method (qw(GET HEAD PUT DELETE OPTIONS)) {
        my $res = $c->connection->request($method, $c->path('xhr_send'));

        is($res->{status}, 405, "405: $method");
        like($res->{headers}{allow}, qr/^POST\b/, 'Allow');
    }

    $t->nothing('the session lives on', $c);
    $c->disconnect;
}


sub urls {
    my ($t, $new) = @_;

    for my $path ('/pusher/', '/pusher/app/', '/pusher/info',
                  '/pusher/app/' . APP_KEY,
                  '/pusher/app/' . APP_KEY . '/1/abcdefgh',
                  '/pusher/app/' . APP_KEY . '/1/abcdefgh/',
                  '/pusher/app/' . APP_KEY . '/1/abcdefgh/jsonp',
                  '/pusher/app/' . APP_KEY . '/1/abcd.fgh/xhr',
                  '/pusher/app/' . APP_KEY . '/1//xhr',
                  '/pusher//xhr', '/pusher/xhr')
    {
        my $res = $new->()->connection->request('POST', $path, TYPE, '');

        ok($res->{status} == 404 || $res->{body} =~ /^o\nc\[4005/,
           "404 or 4005: $path") or diag($res->{body});
    }

    my $c = $new->(session => '999/app');

    $c->receive;
    is($c->next_line, 'o', 'any name is one');
    $c->disconnect;
}


# A session's name, its token and its page: all of them, or none.

sub others {
    my ($t, $client) = @_;

    my $token = fresh_token();
    my $c = $client->(token => $token,
                      headers => { Origin => 'https://a.example' });
    my %same = (port => $t->port, session => $c->{session}, token => $token,
                headers => $c->{headers});

    for (
        [ 'no token',         token => undef ],
        [ 'another token',    token => $token . 'x' ],
        [ 'another page',     headers => { Origin => 'https://b.example' } ],
        [ 'no page',          headers => {} ],
        [ 'another app',      key => 'other-key' ],
        [ 'another session',  session => fresh_session() ],
        [ 'another server',   session => $c->{session} =~ s/^(.)/1$1/r ],
        [ 'another name',     session => $c->{session} . 'v' ],
    ) {
        my ($name, @other) = @$_;
        my $thief = Chat::Fallback->new(%same, @other);

        is($thief->send_text('{"event":"pusher:ping","data":{}}')->{status},
           404, "$name: may not speak");

        $thief->receive;

        my $line = $thief->next_line;

        ok($thief->{status} == 404 || $line eq 'o',
           "$name: has a session of its own, or none");
        $thief->disconnect;
    }

    is(Chat::Fallback->new(%same)->send_text('{"event":"pusher:ping"}')
       ->{status}, 204, 'who has all of them may');
    is($c->next_event->{event}, 'pusher:pong', 'and the owner hears of it');

    $t->nothing('of nothing else', $c);
    $c->disconnect;
}


sub cors {
    my ($t, $new) = @_;

    my %ask = (Origin => 'https://good.example',
               'Access-Control-Request-Method' => 'POST',
               'Access-Control-Request-Headers' => 'content-type');
    my $c = $new->();

    for my $kind (qw(xhr xhr_streaming xhr_send)) {
        my $res = $c->connection->request('OPTIONS', $c->path($kind), \%ask);
        my $h = $res->{headers};

        is($res->{status}, 204, "P106: $kind: 204");
        is($h->{'access-control-allow-origin'}, '*', 'Allow-Origin');
        is($h->{'access-control-allow-methods'}, 'POST, OPTIONS', 'methods');
        is($h->{'access-control-allow-headers'}, 'content-type', 'headers');
        is($h->{'access-control-max-age'}, 86400, 'max age');
    }

    my %page = (prefix => '/strict', headers => { Origin => $ask{Origin} });

    $c = $new->(%page);
    $c->receive;
    is($c->next_line, 'o', 'a page that chat_origins lets in');
    like($c->{head}, qr{^Access-Control-Allow-Origin: https://good\.example\r}m,
         'P106: and may read');

    my $res = $c->send_list([]);
    is($res->{status}, 204, 'and send');
    is($res->{headers}{'access-control-allow-origin'}, 'https://good.example',
       'P106: and see that');

    $page{headers}{Origin} = 'https://evil.example';

    for my $kind (qw(xhr xhr_streaming xhr_send)) {
        my $evil = $new->(%page);

        is($evil->connection->request('POST', $evil->path($kind),
               { %{ TYPE() }, Origin => 'https://evil.example' }, '[]')
           ->{status}, 403, "F2: $kind: another page is refused");
    }

    $c->disconnect;
}


# As pusher-js does it: it reads on until it has too much, and asks again.

sub long {
    my ($t, $client) = @_;

    my $c = $client->();
    my @sent;

    subscribe_to($c, 'long');

    # emoji at each border: units are counted, not characters

    push @sent, $t->publish('long', ('x' x ($_ % 7)) . "\x{1f600}" x 2400)
        for 1 .. 30;

    my ($answers, @got) = (1);

    while (@got < @sent) {
        my $e = $c->next_event;

        push @got, $e->{data} // last;

        next if $c->{lines} ne '' || $c->{units} <= LIMIT;

        # the last line of this answer: it ends without a further one

        my $old = $c->{http};
        my $had = $old->{buffer};

        $c->receive;
        $answers++;

        is($had, '', 'F5: nothing stands behind the limit');
        is($c->rest_of($old), "0\r\n\r\n", 'F5: and nothing comes there');
    }

    is_deeply(\@got, \@sent, 'P112: all is there, in order');
    cmp_ok($answers, '>', 2, "in $answers answers");

    $t->nothing('and no more', $c);
    $c->disconnect;
}


# A client goes on reading an answer of just so many units, and ends one that
# has one more.

sub border {
    my ($t, $client, $over) = @_;

    my $c = $client->();
    my ($ws) = $t->ws;
    my $channel = "private-border-$over";

    subscribe_to($_, $channel) for $c, $ws;

    while ($c->{units} < LIMIT - 9000) {
        my $data = $t->publish($channel, 'x' x 4000);
        is_event($_->next_event, 'news', $channel, $data, 'news') for $c, $ws;
    }

    my $say = sub {
        my ($text) = @_;

        client_event($ws, $channel, 'client-a', $text);
        is_event($c->next_event, 'client-a', $channel, $text, 'said');
    };

    my $before = $c->{units};

    $say->('x');

    my $around = $c->{units} - $before - 1;

    $say->('x' x (LIMIT + $over - $c->{units} - $around));
    is($c->{units}, LIMIT + $over, 'at the border');

    if ($over) {
        my $old = $c->{http};

        client_event($ws, $channel, 'client-a', 'more');
        is($t->fence($ws), 1, 'which the server has');
        $c->receive;
        is($c->rest_of($old), "0\r\n\r\n", 'nothing comes behind it');
        is_event($c->next_event, 'client-a', $channel, 'more',
                 'but by the next answer');

    } else {
        $say->('more');
    }

    $_->disconnect for $c, $ws;
}


sub heartbeat {
    my ($t, $client) = @_;

    my $c = $client->(deaf => 1);

    is($c->send_list([])->{status}, 204, 'sent');
    is($c->next_line, 'h', 'P111: a line comes at once');

    # the client answers it, which is not answered

    is($c->send_list([])->{status}, 204, 'answered');
    $t->nothing('P111: without a loop', $c);
    is($c->{beats}, undef, 'and no heartbeat came');

    my $poll = $client->(polling => 1);

    $poll->receive;
    is($poll->send_list([])->{status}, 204, 'sent while a poll waits');
    is($poll->next_line, 'h', 'P111: the poll ends');

    $_->disconnect for $c, $poll;
}


# Two requests for one session by two workers, as it has got them: the later
# one has ended the other.

sub in_order {
    my ($one, $two) = @_;

    my ($ended) = IO::Select->new($one->socket, $two->socket)
                            ->can_read(10 * SCALE);

    return $ended && $ended == $two->socket ? ($two, $one) : ($one, $two);
}


sub taken_over {
    my ($t, $client) = @_;

    for my $polling (0, 1) {
        my $c = $client->(polling => $polling);

        subscribe_to($c, 'taken');
        $c->receive if $polling;

        my $old = $c->{http};

        $c->receive;
        ($old, $c->{http}) = in_order($old, $c->{http}) if $polling;

        is($c->rest_of($old), "0\r\n\r\n", 'the old answer ends, silently');

        my $data = $t->publish('taken', 'x');

        is_event($c->next_event, 'news', 'taken', $data,
                 'and the new one goes on, without o');
        $c->disconnect;
    }
}


# Where a kept connection breaks before there is an answer, a browser sends the
# same request again, and the page does not know.

sub repeated {
    my ($t, $client) = @_;

    my $c = $client->(polling => 1);
    my $path = $c->path('xhr');
    my $ask = sub {
        my $http = $c->connection;

        $http->send_raw($http->format_request('POST', $path, TYPE, ''));
        return $http;
    };

    subscribe_to($c, 'repeated');

    my @asked = in_order($ask->(), $ask->());
    my $data = $t->publish('repeated', 'x');

    is($asked[0]->read_response->{body}, '', 'nothing was lost with the first');
    like($asked[1]->read_response->{body}, qr/^a\[.*\\"x\\.*\]\n\z/,
         'so the second gets what comes');
    is($ask->()->read_response->{body}, "o\n",
       'what was in an answer is lost: the session is another one');

    $c = $client->();
    $path = $c->path('xhr_send');

    is($c->connection->request('POST', $path, TYPE,
           '["{\\"event\\":\\"pusher:ping\\",\\"data\\":{}}"]')->{status}, 204,
       'sent once, or twice') for 1, 2;

    is($c->next_event->{event}, 'pusher:pong', 'and done');
    $t->nothing('once', $c);
    $c->disconnect;
}


sub broken {
    my ($t, $client) = @_;

    my $ws = $t->ws;
    my $c = $client->();

    is(users_of(join_presence($ws, 'presence-b', 'eve')), 'eve', 'eve');
    join_presence($c, 'presence-b', 'ann');
    is($ws->next_event->{event}, 'pusher_internal:member_added', 'ann comes');

    $c->disconnect;

    is($ws->next_event->{event}, 'pusher_internal:member_removed',
       'P115: and is gone with her stream');
    is($c->send_list([])->{status}, 404, 'the session is, too');

    $c->receive;
    is($c->next_line, 'o', 'P114: its name is free');
    $c->disconnect;
    $ws->disconnect;
}


# A poll that has got nothing yet, and a stream whose client has all that it
# takes: the session goes on with the next request.

sub harmless {
    my ($t, $client) = @_;

    for my $polling (0, 1) {
        my $c = $client->(polling => $polling);

        subscribe_to($c, 'harmless');

        if ($polling) {
            $c->receive;

        } else {
            while ($c->{units} <= LIMIT) {
                $t->publish('harmless', "\x{1f600}" x 2400);
                $c->next_event;
            }
        }

        my $left = sub {
            return () = $t->server->error_log =~ /prematurely closed/g;
        };
        my $before = () = $left->();

        $c->disconnect;
        ok(wait_for(10, sub { $left->() > $before }), 'the client leaves');
        is($c->send_list([])->{status}, 204, 'F8: the session waits');

        $c->receive;

        my $data = $t->publish('harmless', 'x');

        is_event($c->next_event, 'news', 'harmless', $data,
                 'and goes on, without o');
        $c->disconnect;
    }
}


sub status {
    my ($t, $client) = @_;

    my $before;

    ok(wait_for(15, sub {
        $before = $t->status;
        return $before->{connections_fallback} == 0;
    }), 'F8: all that were left are gone');

    my @all = map { $client->(polling => $_) } 0, 1;
    my $now = $t->status;

    is($now->{connections_fallback}, 2, 'two by fallback');
    is($now->{connections}, $before->{connections} + 2, 'of all');
    is($now->{channels}, $before->{channels}, 'which are no channels');

    $_->disconnect for @all;
}
