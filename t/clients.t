# What real clients, proxies and SDKs send, though no standard's examples show
# it: each gets what it needs.  The numbers are those of t/README.md's table.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::API qw(is_ok is_plain);
use Chat::HTTP qw(from_json from_text json_bytes);
use Chat::Pusher qw(send_subscribe subscribe_to signin is_refused is_error);
use Chat::Server qw(APP_ID APP_KEY);
use Chat::WebSocket;

my $app = APP_ID;

my $large = 'x' x 1024;
my $apps = <<'END';
    chat_app 3 {
        key  off-key;  secret  off-secret;
        presence_members  1;  channels_per_connection  1;
    }

    chat_app 4 { key disabled-key; secret disabled-secret; enabled off; }
END

my $t = Chat::Pusher->new(workers => 1, app => 'client_events on;',
                          apps => $apps, more => <<"END");
        location = /messages {
            chat_history  chat app=$app;
            chat_publish  chat new_message app=$app;
        }

        location /apps/ { chat_api; }

        location = /auth { chat_auth user_id=\$http_x_user app=$app; }

        location = /auth_large {
            chat_auth  user_id=\$http_x_user 'user_info={"a":"$large"}' app=$app;
        }

        location = /auth_half {
            chat_auth  user_id=\$http_x_user 'user_info={"a":"\\ud83d"}' app=$app;
        }

        location = /auth_off { chat_auth app=4; }

        location /list/ {
            chat_websocket;
            chat_origins  https://a.example https://b.example;
        }

        location = /cors {
            chat_history  chat app=$app;
            chat_cors     https://a.example;
        }
END

my @pids = $t->server->worker_pids;


# A request whose headers may come twice: raw('POST /x', BODY, LINES).

sub raw {
    my ($line, $body, @lines) = @_;

    my $http = Chat::HTTP->new(port => $t->port);

    $http->send_raw(join "\r\n", "$line HTTP/1.1", 'Host: localhost', @lines,
                    'Content-Length: ' . length $body, '', $body);

    my ($method) = $line =~ /^(\S+)/;

    return $http->read_response($method);
}


# The status of a handshake whose text is changed.

sub handshake {
    my ($change, %args) = @_;

    return Chat::WebSocket->new(port => $t->port, request => $change, %args);
}


subtest '13: a header of several lines is one list' => sub {
    my $connection = sub {
        my (@lines) = @_;

        return sub {
            $_[0] =~ s{^Connection:.*?\r\n}
                      {join '', map { "Connection: $_\r\n" } @lines}mier;
        };
    };

    is(handshake($connection->(@$_))->{status}, 101,
       'Connection: ' . join ' | ', @$_)
        for [ 'keep-alive', 'Upgrade' ], [ 'Upgrade', 'keep-alive' ],
            [ '', 'upgrade' ], [ 'keep-alive, x', ' , Upgrade ,' ];

    is(handshake($connection->(@$_))->{status}, 426,
       'Connection: ' . join ' | ', @$_)
        for [ 'keep-alive', 'Upgraded' ], [ 'Up', 'grade' ], [ '', '' ];

    is(handshake(sub {
        $_[0] =~ s/^Upgrade:/Upgrade: h2c\r\nUpgrade:/mir })->{status}, 101,
        'Upgrade: h2c | websocket');

    my $protocol = sub {
        my $ws = handshake(undef, headers => [
            map { "Sec-WebSocket-Protocol: $_" } @_ ]);

        is($ws->{status}, 101, 'Sec-WebSocket-Protocol: ' . join ' | ', @_);

        return $ws->header('Sec-WebSocket-Protocol');
    };

    is($protocol->('a', 'b'), 'a', 'the first');
    is($protocol->('', 'b, a'), 'b', 'the first that is one');
    is($protocol->(",\t a\t, b"), 'a', 'without what is around it');
    is($protocol->(''), undef, 'none');

    # what can be given only once is not what it was asked for

    is(handshake(sub { $_[0] =~ s/^(Sec-WebSocket-Key:.*?\r\n)/$1$1/mir })
           ->{status}, 400, 'two Sec-WebSocket-Key');
    is(handshake(sub { $_[0] =~ s/^(Sec-WebSocket-Version:)/$1 8\r\n$1/mir })
           ->{status}, 426, 'two Sec-WebSocket-Version');

    is(handshake(undef, path => '/list/app/' . APP_KEY . '?protocol=7',
                 headers => [ map { "Origin: $_" } @$_ ])->{status}, 403,
       'Origin: ' . join ' | ', @$_)
        for [ 'https://a.example', 'https://evil.example' ],
            [ 'https://evil.example', 'https://a.example' ],
            [ 'https://a.example', 'https://b.example' ];

    my $res = raw('GET /cors', '', 'Origin: https://a.example',
                  'Origin: https://evil.example');
    is($res->{headers}{'access-control-allow-origin'}, undef,
       'no CORS for two origins');

    $res = raw('OPTIONS /cors', '', 'Origin: https://a.example',
               'Access-Control-Request-Method: GET',
               'Access-Control-Request-Headers: x-a',
               'Access-Control-Request-Headers: x-b');
    is($res->{headers}{'access-control-allow-headers'}, 'x-a, x-b',
       'Access-Control-Request-Headers: both');

    # as XMLHttpRequest joins what is set twice, and as a proxy may split it

    my $json = json_bytes({ content => 'x' });

    is(raw('POST /messages', $json, map { "Content-Type: $_" } @$_)
           ->{status}, 201, 'Content-Type: ' . join ' | ', @$_)
        for [ 'application/json, application/json' ],
            [ 'application/json', 'application/json; charset=utf-8' ],
            [ 'application/x-www-form-urlencoded', 'application/json' ],
            [ 'text/plain', 'application/json' ];

    is(raw('POST /messages', $json, map { "Content-Type: $_" } @$_)
           ->{status}, 415, 'Content-Type: ' . join ' | ', @$_)
        for [ 'application/json', 'text/plain' ],
            [ 'application/json, text/plain' ];

    my $key = sub {
        my $got = raw('POST /messages', $json,
                      'Content-Type: application/json',
                      map { "Idempotency-Key: $_" } @_);

        is($got->{status}, 201, 'Idempotency-Key: ' . join ' | ', @_);

        return from_json($got->{body})->{id};
    };

    is($key->('one', 'two'), $key->('one, two'), 'one key, however written');
    isnt($key->('one', 'two'), $key->('one', 'three'),
         'the second line counts, too');

    unlike(raw('GET /chat_status', '', 'Accept: application/json;q=0.5',
               'Accept: text/plain')->{body}, qr/^\{/,
           'Accept: the second line counts, too');
};


# JSON.stringify() writes half of an emoji as an escape; a form has U+FFFD.

subtest '11: half a character becomes U+FFFD' => sub {
    my $half = "a\\ud83d";
    my $mended = "a\x{fffd}";
    my $data = "{\"text\":\"$half\"}";
    my ($me, $you) = ($t->ws, $t->ws);

    subscribe_to($_, 'private-x') for $me, $you;

    my $events = sub {
        my ($what, $want) = @_;

        my $e = $you->next_event;

        is($e->{data}, $want, "$what: its data");
        return $e;
    };

    # what a library triggers: text, and JSON that stands in a string

    my $api = Chat::API->new(port => $t->port);

    is_ok($api->trigger("{\"name\":\"$half\",\"channel\":\"private-x\","
                        . "\"data\":\"$half\"}"), {}, 'a trigger of text');
    is($events->('a trigger', $mended)->{event}, $mended, 'its name');
    $me->next_event;

    is_ok($api->trigger(json_bytes({ name => 'e', channel => 'private-x',
                                     data => $data })), {},
          'a trigger of JSON');
    $events->('JSON in a string, byte for byte', $data);
    $me->next_event;

    is_ok($api->batch("{\"batch\":[{\"name\":\"e\",\"channel\":\"private-x\","
                      . "\"data\":\"$half\"}]}"), {}, 'a batch');
    $events->('a batch', $mended);
    $me->next_event;

    # client events: of objects and of strings

    $me->send_text("{\"event\":\"client-a\",\"channel\":\"private-x\","
                   . "\"data\":$data}");
    $events->('an object', "{\"text\":\"$mended\"}");

    $me->send_text("{\"event\":\"client-a\",\"channel\":\"private-x\","
                   . "\"data\":\"$half\"}");
    $events->('a string', $mended);

    $me->send_event({ event => 'client-a', channel => 'private-x',
                      data => $data });
    $events->('JSON in a string, byte for byte', $data);

    # who a user is: signed as text, read with U+FFFD

    my $info = '"user_info":{"name":"' . $half . '"}';

    my $e = subscribe_to($me, 'presence-x', data => "{\"user_id\":\"1\",$info}");
    my $hash = from_text($e->{data})->{presence}{hash};
    is($hash->{1}{name}, $mended, 'channel_data');

    # what tells one from another may not become what another is called

    my $id = "{\"user_id\":\"$half\"}";
    send_subscribe($you, 'presence-x', data => $id);
    is_refused($you, 'presence-x', qr/user_id.*half/, 'user_id');

    is_plain($api->trigger("{\"name\":\"e\",\"channel\":\"private-x\","
                           . "\"data\":\"d\",\"idempotency_key\":\"$half\"}"),
             400, qr/idempotency_key.*half/, 'idempotency_key');

    my $user = "{\"id\":\"7\",$info}";
    $e = signin($you, $user);
    is($e->{event}, 'pusher:signin_success', 'user_data');
    is((ref $e->{data} ? $e->{data} : from_text($e->{data}))->{user_data},
       $user, 'user_data comes back as it was sent');

    # bytes of half a character are no UTF-8: no client's encoder writes them

    is($t->http->post('/messages', "{\"content\":\"\xed\xa0\xbd\"}")
           ->{status}, 400, 'its bytes in JSON: 400');
    is(raw('POST /messages', 'content=%ED%A0%BD',
           'Content-Type: application/x-www-form-urlencoded')->{status}, 400,
       'its bytes in a form: 400');
    is(raw('POST /messages', 'content=a%EF%BF%BD',
           'Content-Type: application/x-www-form-urlencoded')->{status}, 201,
       'a form has U+FFFD from its page');

    my $other = $t->ws;
    $other->send_frame(payload => "{\"event\":\"\xed\xa0\xbd\"}");
    is($other->wait_close, 1007, 'its bytes in a frame: 1007, as RFC 6455 says');
};


# Echo's .error() hears pusher:subscription_error only.

subtest '18: a refused subscription names its channel' => sub {
    my $ws = $t->ws;

    for my $member (qw(auth channel_data)) {
        for my $value ('7', 'true', '[]', '{"user_id":"u"}') {
            for my $channel (qw(private-x presence-x news)) {
                my $data = "{\"channel\":\"$channel\",\"$member\":$value}";

                $ws->send_text("{\"event\":\"pusher:subscribe\","
                               . "\"data\":$data}");
                is_refused($ws, $channel, qr/^$member is not a string$/,
                           "$channel, $member $value");

                $ws->send_event({ event => 'pusher:subscribe',
                                  data => $data });
                is_refused($ws, $channel, qr/^$member is not a string$/,
                           "$channel, $member $value, data as a string");
            }
        }
    }

    # where there is no channel, there is none to tell

    for my $data ('{"channel":7,"auth":7}', '{"auth":7}', '[]', '7') {
        $ws->send_text("{\"event\":\"pusher:subscribe\",\"data\":$data}");
        is_error($ws, undef, qr/\S/, $data);
    }

    $ws->send_text('{"event":"pusher:unsubscribe","data":{"channel":"x",'
                   . '"auth":7}}');
    is_error($ws, undef, qr/\S/, 'an unsubscribe');
    ok($ws->nothing_waits, 'nothing else');
};


subtest '10: what the WebSocket refuses is not signed' => sub {
    my $sign = sub {
        my ($user, $channel, $path) = @_;

        my $body = 'socket_id=1.2';
        $body .= "&channel_name=$channel" if $channel;

        return raw('POST ' . ($path || '/auth'), $body,
                   'Content-Type: application/x-www-form-urlencoded',
                   "X-User: $user");
    };

    for my $user ('auth0|64ab', '#a', 'a b', "\xc3\xa9", 'x' x 129) {
        my $log = length $t->server->error_log;
        my $name = substr $user, 0, 10;

        is($sign->($user)->{status}, 500, "a sign-in of $name is not signed");
        like(substr($t->server->error_log, $log),
             qr/"chat_auth" does not sign for user "\Q$user\E".*sign-in.*id in user_data/,
             'the log says why');
        is($sign->($user, 'presence-x')->{status},
           length $user > 128 ? 500 : 200, 'a presence channel takes others');
    }

    is($sign->('x' x 128, $_)->{status}, 200, '128 characters')
        for undef, 'presence-x';
    is($sign->('auth0|64ab', 'private-x')->{status}, 200,
       'nobody is named on a private channel');

    my $log = length $t->server->error_log;

    is($sign->('a', 'presence-x', '/auth_large')->{status}, 500,
       'a user_info above 1024 bytes is not signed');
    like(substr($t->server->error_log, $log),
         qr/"chat_auth" does not sign for user "a".*subscription.*larger than 1024/,
         'the log says why');
    is($sign->('a', undef, '/auth_large')->{status}, 200,
       'a sign-in may have it');
    is($sign->('a', $_, '/auth_half')->{status}, 200,
       'half a character in user_info is signed, since it is read')
        for undef, 'presence-x';
    is($sign->('a', 'private-x', '/auth_off')->{status}, 403,
       'nothing is signed for an app that is not enabled');
};


subtest '17: a body of a kind that is not read' => sub {
    my $form = 'application/x-www-form-urlencoded';
    my $asked = 'content type must be application/json or '
                . 'application/x-www-form-urlencoded';
    my $multipart = "--x\r\nContent-Disposition: form-data; name=\"socket_id\""
                    . "\r\n\r\n1.2\r\n--x--\r\n";

    my $error = sub {
        my ($path, $status, $want, $body, @lines) = @_;

        my $res = raw("POST $path", $body, 'X-User: a', @lines);
        my $name = "$path, " . join ', ', @lines, length $body;

        is($res->{status}, $status, "$name: $status");
        like(from_json($res->{body})->{error}, $want, "$name: what it says");
    };

    for my $path ('/auth', '/messages') {
        $error->($path, 415, qr/^\Q$asked\E$/, @$_)
            for [ $multipart, 'Content-Type: multipart/form-data; boundary=x' ],
                [ 'socket_id=1.2', 'Content-Type: text/plain' ],
                [ '{}', 'Content-Type: application/jsonx' ],
                [ '{}', "Content-Type: ${form}x" ],
                [ 'socket_id=1.2' ], [ '' ];

        $error->($path, 415, qr/^content encodings are not read/, 'x',
                 'Content-Type: application/json', "Content-Encoding: $_")
            for 'gzip', 'identity, br', 'zstd';
    }

    $error->('/auth', 400, qr/^the body is empty, socket_id is expected/, '',
             "Content-Type: $form");
    $error->('/auth', 400, qr/^socket_id is missing$/, 'a=b',
             "Content-Type: $form");
    $error->('/auth', 400, qr/^$_->[1]$/, $_->[0],
             'Content-Type: application/json')
        for [ '{}', 'socket_id is missing' ],
            [ '[]', 'the body is not a JSON object' ],
            [ '{', 'invalid JSON' ],
            [ '{"socket_id":1.2}', 'socket_id is not a string' ],
            [ '{"socket_id":"undefined"}', 'socket_id is not valid' ],
            [ '{"socket_id":"1.2","channel_name":7}',
              'channel_name is not a string' ];

    is(raw('POST /messages', '{"content":"x"}',
           'Content-Type: application/json', 'Content-Encoding: Identity')
           ->{status}, 201, 'identity is none');

    my $api = Chat::API->new(port => $t->port);
    is_plain($api->trigger({ name => 'e', channel => 'x', data => 'd' },
                           headers => { 'Content-Encoding' => 'gzip' }),
             415, qr/^Content encodings are not read/, 'a trigger');
};


# What self-hosters can't follow is followed by what they can.

subtest '21: errors name the directive' => sub {
    my $error = sub {
        my ($ws, $send) = @_;

        $send->($ws);

        return $ws->next_event->{data}{message};
    };

    like($error->($t->ws_of('off-key'), sub {
        $_[0]->send_event({ event => 'client-a', channel => 'private-x',
                            data => 'x' }) }),
        qr/Settings page of your dashboard\. .*client_events on/,
        'client events');

    my $ws = $t->ws_of('off-key');
    subscribe_to($ws, 'presence-one', data => '{"user_id":"1"}',
                 key => 'off-key', secret => 'off-secret');
    like($error->($t->ws_of('off-key'), sub {
        send_subscribe($_[0], 'presence-one', data => '{"user_id":"2"}',
                       key => 'off-key', secret => 'off-secret') }),
        qr/maximum number of members .*presence_members/, 'members');
    like($error->($ws, sub { send_subscribe($_[0], 'two') }),
         qr/too many channels .*channels_per_connection/, 'channels');

    like(Chat::WebSocket->new(port => $t->port, path => "/app/$_->[0]?protocol=7")
             ->next_event->{data}{message}, $_->[1], "key $_->[0]")
        for [ 'nobody', qr/^App key nobody not in this cluster.*chat_app/ ],
            [ 'disabled-key', qr/^Application disabled .*enabled off/ ];
};


is_deeply([ $t->server->worker_pids ], \@pids, 'the workers are the same');

$t->finish;

done_testing();
