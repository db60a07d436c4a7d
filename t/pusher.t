# The Pusher protocol over WebSocket, as far as public channels go.  Subtests
# name the rows of the checklist in the protocol's reference (section 12).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::HTTP qw(from_json from_text);
use Chat::Server qw(APP_KEY);
use Chat::WebSocket qw(TEXT PING PONG data_of);

my $server = Chat::Server->new(locations => <<'END')->start;
        location = /messages {
            chat_history  chat;
            chat_publish  chat new_message;
        }

        location = /room {
            chat_history  $arg_room;
            chat_publish  $arg_room new_message;
        }

        location /app/    { chat_websocket; }
        location /prefix/ { chat_websocket; }
        location /other   { chat_websocket; }

        location /short/ {
            chat_websocket;
            chat_activity_timeout 37s;
        }
END

my $port = $server->port;
my $http = Chat::HTTP->new(port => $port);


sub open_ws { return Chat::WebSocket->established(port => $port, @_) }


sub raw_ws { return Chat::WebSocket->new(port => $port, @_) }


# An error frame with code null; the connection lives and nothing follows.

sub is_refused {
    my ($ws, $like, $name) = @_;

    my $e = $ws->next_event;

    is($e->{event}, 'pusher:error', "$name: an error frame");
    is(ref $e->{data}, 'HASH', "$name: its data is an object");
    ok(exists $e->{data}{code} && !defined $e->{data}{code},
       "$name: its code is null");
    like($e->{data}{message}, $like, "$name: its message");
    ok(!exists $e->{channel} && !exists $e->{user_id},
       "$name: no channel, no user_id");

    # pusher:subscription_error is optional (2.5, P40)
    my $more = $ws->drain;

    ok($more, "$name: the connection lives");

    for my $f (@{ $more || [] }) {
        my $s = from_json($f->[1]);

        is($s->{event}, 'pusher:subscription_error', "$name: nothing else");
        is(ref $s->{data}, 'HASH', "$name: data is an object");
        ok(defined $s->{channel}, "$name: with a channel");
    }
}


# A fatal error: the frame, then a close frame with the same code.

sub is_fatal {
    my ($ws, $code, $name) = @_;

    is($ws->{status}, 101, "$name: 101");

    my $e = $ws->next_event;

    is($e->{event}, 'pusher:error', "$name: the first frame is an error");
    is(ref $e->{data}, 'HASH', "$name: its data is an object");
    is($e->{data}{code}, $code, "$name: code $code");
    like($e->{data}{message}, qr/\S/, "$name: a message");

    my $c = $ws->next_event;

    is($c->{close}, $code, "$name: closed with $code");
    like($c->{reason}, qr/\S/, "$name: a reason");
    cmp_ok(length $c->{reason}, '<=', 123, "$name: of at most 123 bytes");
    is(substr($e->{data}{message}, 0, length $c->{reason}), $c->{reason},
       "$name: the reason is the message, or its beginning");

    $ws->send_close($code);
    is($ws->next_frame->[0], 'eof', "$name: then the connection ends");

    return $e;
}


sub publish {
    my ($path, $content, $headers) = @_;

    my $res = $http->post($path, ref $content ? $content
                                              : { content => $content },
                          $headers);

    is($res->{status}, 201, 'published') or diag($res->{body});

    return $res->{text};
}


subtest 'P1 P2 P3 P4: establishing' => sub {
    my $ws = raw_ws();
    my $other = open_ws();

    is($ws->{status}, 101, 'P1: 101');

    my $e = $ws->next_event;

    is($e->{event}, 'pusher:connection_established', 'P2: the first event');
    is(ref \$e->{data}, 'SCALAR', 'P2: its data is a string');
    is(join(' ', sort grep { $_ ne 'raw' } keys %$e), 'data event',
       'P2: no other member');

    my $data = data_of($e);

    like($data->{socket_id}, qr/\A[0-9]+\.[0-9]+\z/, 'P3: socket_id');
    like($e->{data}, qr/"socket_id":"/, 'P3: a string');
    isnt($data->{socket_id}, $other->socket_id, 'P3: not that of another');
    like($e->{data}, qr/"activity_timeout":50\b/,
         'P4: activity_timeout is a number, by default 50');
    ok($ws->nothing_waits, 'nothing else is sent');
};


subtest 'P3: socket ids differ' => sub {
    my %seen;

    $seen{ open_ws()->socket_id }++ for 1 .. 100;
    is(scalar keys %seen, 100, '100 connections, 100 ids');
};


subtest 'P4: chat_activity_timeout' => sub {
    is(open_ws(path => '/short/app/' . APP_KEY)->{activity_timeout}, 37,
       'is what the client is told');
};


subtest 'P5: protocols' => sub {
    for my $q ('protocol=4', 'client=java-client&protocol=5&version=2.4.4',
               'protocol=5&client=pusher-dotnet-client&version=1.1.0',
               'protocol=6', 'protocol=7', 'version=8.6.0&unknown=1&protocol=7')
    {
        ok(open_ws(path => '/app/' . APP_KEY . "?$q"), $q);
    }
};


subtest 'P6 P18: unsupported protocols' => sub {
    for my $p (1, 2, 3, 8, 99, '7x', '-7') {
        is_fatal(raw_ws(path => '/app/' . APP_KEY . "?protocol=$p"), 4007,
                 "protocol=$p");
    }
};


subtest 'P7: no query string' => sub {
    ok(open_ws(path => '/app/' . APP_KEY), 'is taken as protocol 7');
    ok(open_ws(path => '/app/' . APP_KEY . '?client=js'),
       'and so is one without protocol');
};


subtest 'P8 P18: unknown key' => sub {
    my $e = is_fatal(raw_ws(path => '/app/abc?protocol=7'), 4001, 'abc');

    like($e->{data}{message}, qr/abc/, 'the message names the key');

    is_fatal(raw_ws(path => '/app/' . 'k' x 1000 . '?protocol=7'), 4001,
             'a key of 1000 bytes');
    is_fatal(raw_ws(path => '/app/' . uc(APP_KEY) . '?protocol=7'), 4001,
             'the key in upper case');
    is_fatal(raw_ws(path => '/app/' . APP_KEY . 'x?protocol=7'), 4001,
             'a longer key');
    is_fatal(raw_ws(path => '/app/' . substr(APP_KEY, 0, -1)
                            . '?protocol=7'), 4001, 'a shorter key');
    is_fatal(raw_ws(path => '/app/%22%5c%01%c3%28?protocol=7'), 4001,
             'a key of odd bytes');
};


subtest 'P9 P18: paths' => sub {
    ok(open_ws(path => '/prefix/app/' . APP_KEY . '?protocol=7'),
       'a prefix is fine');
    is_fatal(raw_ws(path => '/other'), 4005, '/other');
    is_fatal(raw_ws(path => '/other/' . APP_KEY . '?protocol=7'), 4005,
             '/other/KEY');
    is_fatal(raw_ws(path => '/app/?protocol=7'), 4005, '/app/');
    is_fatal(raw_ws(path => '/prefix/application/' . APP_KEY), 4005,
             '/prefix/application/KEY');
};


subtest 'P12: subprotocols' => sub {
    my $offer = 'Sec-WebSocket-Protocol: pusher-channels-protocol-7';

    is(open_ws(headers => [ $offer ])->header('Sec-WebSocket-Protocol'),
       'pusher-channels-protocol-7', 'the one offered is echoed');
    is(open_ws()->header('Sec-WebSocket-Protocol'), undef,
       'none where none is offered');
    like(open_ws(headers => [ "$offer, other" ])
             ->header('Sec-WebSocket-Protocol'),
         qr/\A(?:pusher-channels-protocol-7|other)\z/,
         'exactly one of several');
};


subtest 'P13: pusher:ping' => sub {
    my $ws = open_ws();

    for my $text ('{"event":"pusher:ping","data":{}}',
                  '{"event": "pusher:ping"}',
                  '{"event":"pusher:ping","data":"{}"}',
                  '{"event":"pusher:ping","data":""}',
                  '{"event":"pusher:ping","data":null}',
                  '{"data":{},"extra":[1,{"a":2}],"event":"pusher:ping"}')
    {
        $ws->send_text($text);
        my $e = $ws->next_event;
        is($e->{event}, 'pusher:pong', $text);
        is($e->{data}, '{}', 'with data "{}"');
    }

    ok($ws->nothing_waits, 'one pong for each');

    $ws->send_text('{"event":"pusher:pong","data":{}}');
    ok($ws->nothing_waits, 'no answer to a pong');
};


subtest 'P14: WebSocket Ping' => sub {
    my $ws = open_ws();

    for my $payload ('', 'hello', "\x00\xff\xfe" x 41) {
        $ws->send_frame(opcode => PING, payload => $payload);
        my $f = $ws->next_frame;
        is($f->[0], PONG, 'a Pong');
        is($f->[1], $payload, 'with the payload of the Ping');
    }
};


subtest 'P20: what is no command' => sub {
    my $ws = open_ws();

    for my $text ('', 'x', '{', '[]', '[{"event":"pusher:ping"}]', '"a"',
                  '1', 'null', '{}', '{"event":1}', '{"event":null}',
                  '{"data":{}}', '{"event":"pusher:ping"}{}',
                  '{"event":"pusher:ping",}', "{'event':'pusher:ping'}",
                  '{"event":"pusher:subscribe"}',
                  '{"event":"pusher:subscribe","data":null}',
                  '{"event":"pusher:subscribe","data":{}}',
                  '{"event":"pusher:subscribe","data":[]}',
                  '{"event":"pusher:subscribe","data":"x"}',
                  '{"event":"pusher:subscribe","data":{"channel":1}}',
                  '{"event":"pusher:subscribe","data":{"channel":null}}',
                  '{"event":"pusher:subscribe","data":{"channel":{}}}',
                  '{"event":"pusher:subscribe","data":{"channel":""}}',
                  '{"event":"pusher:unsubscribe","data":{}}',
                  '{"event":"pusher:unsubscribe"}',
                  '[' x 100, '{"event":' x 600, '{"event":"a\ud800b"}')
    {
        $ws->send_text($text);
        is_refused($ws, qr/\S/, "'" . substr($text, 0, 50) . "'");
    }

    $ws->send_text('{"event":"pusher:nonsense","data":{}}');
    is_refused($ws, qr/^Unsupported event received on socket: 'pusher:nonsense'/,
               'an unknown event');

    $ws->send_text('{"event":"a\"b\\\\c\u0000d\u2028\ud83d\ude00","data":{}}');
    is_refused($ws, qr/^Unsupported event/, 'an unknown event of odd bytes');

    $ws->send_text('{"event":"' . 'e' x 60000 . '"}');
    is_refused($ws, qr/^Unsupported event/, 'an unknown event of 60000 bytes');

    is($ws->subscribe('still-alive')->{channel}, 'still-alive',
       'the socket works');
};


subtest 'P21: fragments, size' => sub {
    my $ws = open_ws();
    my $text = '{"event":"pusher:subscribe","data":{"channel":"frag"}}';

    $ws->send_frame(fin => 0, payload => substr($text, 0, 10));
    $ws->send_frame(fin => 0, opcode => 0, payload => substr($text, 10, 20));
    $ws->send_frame(fin => 1, opcode => 0, payload => substr($text, 30));
    is($ws->next_event->{channel}, 'frag', 'fragments are put together');

    my $long = '{"event":"pusher:ping","data":{"pad":"';
    $long .= 'x' x (65536 - length($long) - 3) . '"}}';
    is(length $long, 65536, 'a message of 64 KiB');
    $ws->send_text($long);
    is($ws->next_event->{event}, 'pusher:pong', 'is taken');

    $ws->send_raw("\x81\xff" . pack('Q>', 100_000_000) . 'mask');
    is($ws->wait_close, 1009, 'an oversized one closes with 1009');
};


subtest 'P22: data as a string' => sub {
    my $ws = open_ws();

    $ws->send_event({ event => 'pusher:subscribe',
                      data => '{"channel":"str"}' });
    is($ws->next_event->{channel}, 'str', 'subscribe');
    $ws->send_event({ event => 'pusher:unsubscribe',
                      data => '{"channel":"str"}' });
    ok($ws->nothing_waits, 'unsubscribe');
    is($ws->subscribe('str')->{channel}, 'str', 'it had been unsubscribed');
};


subtest 'P23 P24: subscribing' => sub {
    my $ws = open_ws();

    for ('{"event":"pusher:subscribe","data":{"auth":"","channel":"a"}}',
         '{"event":"pusher:subscribe","data":{"channel":"b"}}',
         '{"event":"pusher:subscribe","data":{"auth":null,"channel":"c"}}',
         '{"event":"pusher:subscribe","data":{"auth":"K:1","x":[],"channel":"d"}}')
    {
        my ($channel) = /"channel":"(.)"/;

        $ws->send_text($_);

        my $e = $ws->next_event;

        is($e->{event}, 'pusher_internal:subscription_succeeded', $_);
        is($e->{channel}, $channel, 'P24: its channel');
        is($e->{data}, '{}', 'P24: its data is the string "{}"');
        is(join(' ', sort grep { $_ ne 'raw' } keys %$e),
           'channel data event', 'P24: nothing else');
    }
};


subtest 'P25: subscribing twice' => sub {
    my $ws = open_ws();

    $ws->subscribe('chat');
    $ws->send_event({ event => 'pusher:subscribe',
                      data => { channel => 'chat' } });
    is_refused($ws, qr/^Existing subscription to channel chat$/, 'twice');

    publish('/messages', 'once');
    is($ws->next_event->{event}, 'new_message', 'the event comes');
    ok($ws->nothing_waits, 'once');
};


subtest 'P26: unsubscribing' => sub {
    my $ws = open_ws();
    my $witness = open_ws();

    $_->subscribe('chat') for $ws, $witness;
    $ws->unsubscribe('chat');
    ok($ws->nothing_waits, 'nothing is sent');

    publish('/messages', 'unheard');
    is($witness->next_event->{event}, 'new_message', 'another gets the event');
    ok($ws->nothing_waits, 'the one that left does not');

    $ws->unsubscribe('chat');
    is_refused($ws, qr/^No current subscription to channel chat, or subscription in progress$/,
               'without a subscription');
    $ws->unsubscribe('never');
    is_refused($ws, qr/^No current subscription to channel never,/, 'never');

    $ws->subscribe('chat');
    publish('/messages', 'heard');
    is($ws->next_event->{event}, 'new_message', 'subscribed again');
};


subtest 'P27: bad names' => sub {
    my $ws = open_ws();

    for my $name ('a b', 'a/b', 'a:b', 'a' x 201, 'a#b', "a\x{e9}", "a\n",
                  "a\0", 'a"b', '#', '#channel', 'a%20b', 'a*', ' ')
    {
        $ws->send_event({ event => 'pusher:subscribe',
                          data => { channel => $name } });
        is_refused($ws, qr/\S/, 'name of ' . length($name) . ' characters');
    }

    is($http->get('/room?room=' . 'a' x 201)->{status}, 400,
       'HTTP: too long');
    is($http->get('/room?room=a%20b')->{status}, 400, 'HTTP: bad bytes');
    is($http->get('/room')->{status}, 400, 'HTTP: empty');
    is($http->post('/room?room=a:b', { content => 'x' })->{status}, 400,
       'HTTP: POST');
};


subtest 'P28: good names' => sub {
    my $ws = open_ws();

    for my $name ('a_b-c=d@e,f.g;h', '-', ';', 'A', '0', 'a' x 200,
                  '=@,.;_-')
    {
        is($ws->subscribe($name)->{channel}, $name, "$name: socket");

        my $body = publish("/room?room=$name", "in $name");
        my $e = $ws->next_event;

        is($e->{channel}, $name, "$name: the event's channel");
        is($e->{data}, $body, "$name: its data");
        is($http->get("/room?room=$name")->{body}, "[$body]",
           "$name: history");
    }
};


subtest 'P29: prefixes' => sub {
    my $ws = open_ws();

    for my $name ('privatefoo', 'presencefoo', 'my-private-x', 'Private-x',
                  'private', 'presence')
    {
        is($ws->subscribe($name)->{channel}, $name, "$name is public");
    }

    for my $name ('private-foo', 'presence-foo', 'private-encrypted-foo',
                  'private-cache-foo', 'presence-cache-foo',
                  '#server-to-user-1')
    {
        $ws->send_event({ event => 'pusher:subscribe',
                          data => { auth => '', channel => $name } });

        # pusher:subscription_error may come, too (2.5)
        my @events = map { from_json($_->[1]) } @{ $ws->drain || [] };
        my @errors = grep { $_->{event} eq 'pusher:error' } @events;

        is(scalar @errors, 1, "$name is not");
        ok(exists $errors[0]{data}{code} && !defined $errors[0]{data}{code},
           'code null');
        is(join(' ', grep { !/^pusher:(?:subscription_)?error$/ }
                     map { $_->{event} } @events), '', 'no other event');
    }
};


subtest 'P30 P32: events' => sub {
    my $ws = open_ws();
    $ws->subscribe('chat');

    for my $content ('plain', '"quotes" \\ and \\" both', "lines\r\n\ttabs",
                     "a\x{2028}b\x{2029}", "\x{1f600} \x{e4}\x{20ac}",
                     "a\0b", "\x{1}\x{1f}\x{7f}", '</script>', '{"a":[1]}',
                     "\x{ffff}\x{10ffff}", 'x' x 10240, '\\' x 5000)
    {
        my $body = publish('/messages', $content);
        my $e = $ws->next_event;

        is($e->{event}, 'new_message', 'P30: event');
        is($e->{channel}, 'chat', 'P30: channel');
        is($e->{data}, $body, "P30: data is the 201's body");
        ok(!exists $e->{user_id}, 'P30: no user_id');
        ok(from_text($e->{data})->{content} eq $content, 'P32: intact');
        ok(from_json($http->get('/messages?limit=1')->{body})->[0]{content}
           eq $content, 'P32: intact in history');
        like($e->{raw}, qr/^\{"event":"new_message","channel":"chat","data":"/,
             'members in order');
    }

    ok($ws->nothing_waits, 'each once');
};


subtest 'the sender is left out' => sub {
    my ($me, $you) = (open_ws(), open_ws());

    $_->subscribe('chat') for $me, $you;

    my $id = $me->socket_id;
    my @bodies = (
        publish('/messages', { content => 'member', socket_id => $id }),
        publish('/messages', 'header', { 'X-Socket-ID' => $id }),
    );

    my $res = $http->request('POST', '/messages',
                  { 'Content-Type' => 'application/x-www-form-urlencoded' },
                  "content=form&socket_id=$id");

    is($res->{status}, 201, 'a form');
    push @bodies, $res->{text};

    is($you->next_event->{data}, $_, 'another gets it') for @bodies;
    ok($me->nothing_waits, 'the sender gets nothing');

    publish('/messages', { content => 'nobody', socket_id => '1.1' });
    publish('/messages', { content => 'null', socket_id => undef });
    is($_->next_event->{event}, 'new_message', 'an unknown id, or null')
        for $me, $me, $you, $you;

    # what is no socket id, such as a page without a connection sends

    for my $bad ('x', '1', '1.', '.1', '1.2.3', '-1.2', '1.2 ', ' 1.2', "1.2\n",
                 '', "1.\x{661}", 'undefined', 'null', 1, 1.2, [ $id ],
                 { a => 1 })
    {
        my $text = publish('/messages', { content => 'c', socket_id => $bad });

        is($_->next_event->{data}, $text, "'$bad': nobody is left out")
            for $me, $you;
    }

    for my $bad ('x', '', 'undefined', 'null') {
        my $text = publish('/messages', 'h', { 'X-Socket-ID' => $bad });

        is($_->next_event->{data}, $text, "header '$bad': nobody is left out")
            for $me, $you;

        $res = $http->request('POST', '/messages',
                  { 'Content-Type' => 'application/x-www-form-urlencoded' },
                  "content=form&socket_id=$bad");

        is($res->{status}, 201, "form '$bad': 201");
        is($_->next_event->{data}, $res->{text},
           "form '$bad': nobody is left out") for $me, $you;
    }

    publish('/messages', { content => 'h', socket_id => 'undefined' },
            { 'X-Socket-ID' => $id });
    is($you->next_event->{event}, 'new_message', 'another gets it');
    ok($me->nothing_waits, 'the header, where the member is no id');

    ok($_->nothing_waits, 'nothing was sent') for $me, $you;
};


subtest 'channels are apart, order is kept' => sub {
    my $ws = open_ws();

    $ws->send_raw(join '', map {
        $ws->frame(payload => "{\"event\":\"pusher:subscribe\","
                              . "\"data\":{\"channel\":\"c$_\"}}")
    } 1 .. 50);

    is(join(' ', map { $ws->next_event->{channel} } 1 .. 50),
       join(' ', map { "c$_" } 1 .. 50), '50 subscriptions in one packet');

    publish("/room?room=c$_", "to c$_") for 3, 1, 2;
    publish('/room?room=c99', 'elsewhere');

    is(join(' ', map { $ws->next_event->{channel} } 1 .. 3), 'c3 c1 c2',
       'three events in order');
    ok($ws->nothing_waits, 'and none of another channel');
};


$server->finish;

done_testing();
