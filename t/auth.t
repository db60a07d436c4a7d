# chat_auth: signs what pusher-js asks for, for the user that nginx has
# authenticated; and what is signed is what the server wants.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw(encode_base64);
use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::HTTP qw(from_json form json_bytes);
use Chat::Pusher qw(sign send_subscribe subscribe_to is_event is_refused
                    users_of);
use Chat::Server qw(APP_ID APP_KEY APP_SECRET);

my $id = APP_ID;


sub tests {
    my ($t) = @_;

    my $http = $t->http;


    # pusher-js's request, as a form or as JSON

    my $ask = sub {
        my ($path, $fields, %headers) = @_;

        my $json = delete $headers{json};

        return $http->request('POST', $path, {
            'Content-Type' => $json ? 'application/json'
                                    : 'application/x-www-form-urlencoded',
            %headers }, $json ? json_bytes($fields) : form(%$fields));
    };

    my $signed = sub {
        my ($res, $app, $text, $name) = @_;

        is($res->{status}, 200, "$name: 200") or diag($res->{body});
        like($res->{headers}{'content-type'}, qr{^application/json\b},
             "$name: JSON");

        my $got = from_json($res->{body});

        is($got->{auth}, "$app->[0]:" . sign($app->[1], $text),
           "$name: the signature of $text");

        return $got;
    };

    my $app = [ APP_KEY, APP_SECRET ];


    subtest 'P33 P69: the vectors' => sub {
        my $own = [ 'app-key-1', 'app-secret-1' ];
        my $official = [ '278d425bdf160c739803', '7ad3773142a6692b25b8' ];

        my $got = $signed->($ask->('/own', { socket_id => '10.20',
                                             channel_name => 'private-room' }),
                            $own, '10.20:private-room', 'private');
        is($got->{auth}, 'app-key-1:393146452e4682e9516ac1af1b70e066d6021d16'
                         . '1d55353f54cf2180218d03cc', 'as in section 3.3');
        is(join(' ', keys %$got), 'auth', 'nothing else');

        $got = $ask->('/own', { socket_id => '10.20',
                                channel_name => 'presence-room' });
        is_deeply(from_json($got->{body}), {
            auth => 'app-key-1:9abe84ffc44529958654dfcb1ad4954d22ac234b23f2571'
                    . '8fca54dbbda5ffc36',
            channel_data => '{"user_id":"7","user_info":{"name":"Ann"}}' },
            'presence, as in section 3.3');

        $got = $ask->('/official', { socket_id => '1234.1234',
                                     channel_name => 'private-foobar' });
        is(from_json($got->{body})->{auth}, '278d425bdf160c739803:58df8b0c36d6'
           . '982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4',
           'the official one');

        $got = $ask->('/official', { socket_id => '1234.1234' });
        is_deeply(from_json($got->{body}), {
            auth => '278d425bdf160c739803:4708d583dada6a56435fb8bc611c77c359a3'
                    . '1eebde13337c16ab43aa6de336ba',
            user_data => '{"id":"12345"}' }, 'P69: the official sign-in');
    };


    subtest 'private channels' => sub {
        my $ws = $t->ws;

        for my $channel ('private-x', 'private-cache-x', 'private-=@,.;_-',
                         'private-' . 'x' x 192)
        {
            for my $json (0, 1) {
                my $res = $ask->('/auth', { socket_id => $ws->socket_id,
                                            channel_name => $channel },
                                 'X-User' => '7', json => $json);
                my $got = $signed->($res, $app, $ws->socket_id . ":$channel",
                                    ($json ? 'JSON' : 'form') . " $channel");
                is(join(' ', keys %$got), 'auth', 'auth, nothing else');

                subscribe_to($ws, $channel, auth => $got->{auth});
                $ws->next_event if $channel =~ /cache/;
                $ws->unsubscribe($channel);
            }
        }

        # parameters that an application adds
        my $res = $ask->('/auth', { socket_id => $ws->socket_id, a => 'b',
                                    channel_name => 'private-x', x => '' },
                         'X-User' => '7');
        is($res->{status}, 200, 'other fields of a form');
        $res = $ask->('/auth', { socket_id => $ws->socket_id, a => [ {} ],
                                 channel_name => 'private-x' },
                      'X-User' => '7', json => 1);
        is($res->{status}, 200, 'other members of JSON');
        $res = $ask->('/auth', { socket_id => $ws->socket_id,
                                 channel_name => 'private-x' }, 'X-User' => 7,
                      'Content-Type' =>
                      'application/x-www-form-urlencoded; charset=UTF-8');
        is($res->{status}, 200, 'a charset behind the type');

        # is it sent in pieces?
        $res = $http->request('POST', '/auth', {
            'X-User' => 7, 'Transfer-Encoding' => 'chunked',
            'Content-Type' => 'application/x-www-form-urlencoded' },
            join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
                 'socket_id=', $ws->socket_id, '&channel_na', 'me=private-x')
            . "0\r\n\r\n");
        $signed->($res, $app, $ws->socket_id . ':private-x', 'chunks');
    };


    subtest 'presence channels' => sub {
        my ($a, $b) = $t->spread(2);

        for my $json (0, 1) {
            my $channel = "presence-room$json";

            for my $ws ($a, $b) {
                my $user = $ws == $a ? "a\"\\b\x{1}" : "b\x{e9}\x{1f600}";
                my $bytes = Encode::encode('utf8', $user);

                $bytes = 'plain' if $bytes =~ /\x01/;
                $user = 'plain' if $user =~ /\x01/;

                my $res = $ask->('/auth', { socket_id => $ws->socket_id,
                                            channel_name => $channel },
                                 'X-User' => $bytes, json => $json);
                my $got = from_json($res->{body});

                is(ref \$got->{channel_data}, 'SCALAR',
                   'channel_data is a string');
                is_deeply(Chat::HTTP::from_text($got->{channel_data}),
                          { user_id => $user }, 'with the user');
                is($got->{auth}, APP_KEY . ':' . sign(APP_SECRET,
                       $ws->socket_id . ":$channel:$got->{channel_data}"),
                   'and signed with it');
                is(join(' ', sort keys %$got), 'auth channel_data',
                   'nothing else');

                my $e = subscribe_to($ws, $channel, auth => $got->{auth},
                                     data => $got->{channel_data});
                my $p = Chat::HTTP::from_text($e->{data})->{presence};
                ok((grep { $_ eq $user } @{$p->{ids}}), 'and let in');
            }

            $_->unsubscribe($channel) for $a, $b;
            $t->fence($a, $b);
        }

        my $res = $ask->('/auth', { socket_id => '1.2',
                                    channel_name => 'presence-x' },
                         'X-User' => 'q"\\q');
        is_deeply(from_json(from_json($res->{body})->{channel_data}),
                  { user_id => 'q"\\q' }, 'what needs escapes');

        $res = $ask->('/own', { socket_id => '1.2',
                                channel_name => 'presence-cache-x' });
        is(from_json($res->{body})->{channel_data},
           '{"user_id":"7","user_info":{"name":"Ann"}}', 'user_info');
    };


    subtest 'sign-in' => sub {
        my $ws = $t->ws;

        for my $json (0, 1) {
            my $res = $ask->('/auth', { socket_id => $ws->socket_id },
                             'X-User' => 'u7', json => $json);
            my $got = from_json($res->{body});

            is(join(' ', sort keys %$got), 'auth user_data', 'two members');
            is_deeply(from_json($got->{user_data}), { id => 'u7' }, 'the id');
            is($got->{auth}, APP_KEY . ':' . sign(APP_SECRET,
                   $ws->socket_id . "::user::$got->{user_data}"), 'signed');

            $ws->send_event({ event => 'pusher:signin', data => $got });
            is($ws->next_event->{event}, 'pusher:signin_success', 'good');
        }

        my $got = from_json($ask->('/own', { socket_id => '1.2' })->{body});
        is($got->{user_data}, '{"id":"7","user_info":{"name":"Ann"}}',
           'user_info');
    };


    subtest '403 where user_id is empty' => sub {
        for my $fields ({ socket_id => '1.2', channel_name => 'private-x' },
                        { socket_id => '1.2', channel_name => 'presence-x' },
                        { socket_id => '1.2' })
        {
            for my $json (0, 1) {
                my $res = $ask->('/auth', $fields, json => $json);

                is($res->{status}, 403, 'no user');
                unlike($res->{body}, qr/auth"/, 'no signature');
            }
        }
    };


    subtest 'the user that nginx has authenticated' => sub {
        my %ann = (Authorization => 'Basic ' . encode_base64('ann:pw', ''));
        my %bad = (Authorization => 'Basic ' . encode_base64('ann:no', ''));
        my $fields = { socket_id => '1.2', channel_name => 'presence-x' };

        is(from_json($ask->('/basic', $fields, %ann)->{body})->{channel_data},
           '{"user_id":"ann"}', '$remote_user');
        is($ask->('/basic', $fields)->{status}, 401, 'without a password');
        is($ask->('/basic', $fields, %bad)->{status}, 401, 'with another');
    };


    subtest 'what is not signed' => sub {
        for my $channel ('x', 'chat', 'cache-x', 'privatefoo', 'Private-x',
                         '#server-to-user-7', 'private-encrypted-x',
                         'private-encrypted-cache-x', '', 'private-a b',
                         'private-a/b', 'private-a:b', ':user:x',
                         'private-' . 'x' x 193, "private-\xc3\xa9",
                         "private-x\0", "private-x\n")
        {
            for my $json (0, 1) {
                my $res = $ask->('/auth', { socket_id => '1.2',
                                            channel_name => $channel },
                                 'X-User' => 7, json => $json);
                my $name = length $channel < 40 ? $channel : 'too long';

                is($res->{status}, 400, "channel '$name': 400");
                like($res->{body}, qr/^\{"error":"[^"]+"\}$/, 'says why');
            }
        }

        for my $socket (undef, '', '1', '1.', '.1', 'x', '1.2.3', '-1.2',
                        '1.2 ', "1.2\n", '1.2:private-x', '1:2', '1,2',
                        "1.\xd9\xa1")
        {
            for my $json (0, 1) {
                my $res = $ask->('/auth', {
                    channel_name => 'private-x',
                    defined $socket ? (socket_id => $socket) : () },
                    'X-User' => 7, json => $json);

                is($res->{status}, 400, "socket_id '"
                   . (defined $socket ? $socket : '(none)') . "': 400");
            }
        }
    };


    subtest 'bad bodies' => sub {
        for my $body ('', 'x', '{', '[]', '"x"', '7', 'null', '{}',
                      '{"socket_id":"1.2","channel_name":7}',
                      '{"socket_id":"1.2","channel_name":{}}',
                      '{"socket_id":1.2,"channel_name":"private-x"}',
                      '{"socket_id":["1.2"],"channel_name":"private-x"}',
                      '{"socket_id":"1.2","channel_name":"private-x"}}',
                      "{\"socket_id\":\"1.2\",\"channel_name\":\"private-\xff\"}",
                      '[' x 1000)
        {
            my $res = $http->request('POST', '/auth', {
                'Content-Type' => 'application/json', 'X-User' => 7 }, $body);

            is($res->{status}, 400, 'JSON: ' . substr($body, 0, 60));
        }

        for my $body ('', 'x', '&', '=', '&&=&', 'socket_id', '%', 'a=%zz',
                      'socket_id=%001.2', 'socket_id=1.2&'
                      . 'channel_name', 'socket_id=1.2&channel_name=%')
        {
            my $res = $http->request('POST', '/auth', { 'X-User' => 7,
                'Content-Type' => 'application/x-www-form-urlencoded' }, $body);

            is($res->{status}, 400, "form: '$body'");
        }

        # a name in the body twice is one of them, whichever $chat_channel had
        my $res = $http->request('POST', '/guarded', { 'X-User' => 7,
            'Content-Type' => 'application/x-www-form-urlencoded' },
            'socket_id=1.2&channel_name=private-open&channel_name=private-shut');
        my $auth = $res->{status} == 200 ? from_json($res->{body})->{auth} : '';
        isnt($auth, APP_KEY . ':' . sign(APP_SECRET, '1.2:private-shut'),
             'a name that comes twice');
        $res = $http->request('POST', '/guarded', { 'X-User' => 7,
            'Content-Type' => 'application/json' },
            '{"socket_id":"1.2","channel_name":"private-open",'
            . '"channel_name":"private-shut"}');
        $auth = $res->{status} == 200 ? from_json($res->{body})->{auth} : '';
        isnt($auth, APP_KEY . ':' . sign(APP_SECRET, '1.2:private-shut'),
             'in JSON, too');

        for my $n (20_000, 100_000) {
            $res = $http->request('POST', '/auth', { 'X-User' => 7,
                'Content-Type' => 'application/x-www-form-urlencoded' },
                'socket_id=1.2&channel_name=private-x&pad=' . 'x' x $n);
            like($res->{status}, qr/^4(?:00|13)$/, "a body of $n bytes");
        }

        for my $type ('text/plain', 'multipart/form-data; boundary=x', undef)
        {
            my $res = $http->request('POST', '/auth', { 'X-User' => 7,
                defined $type ? ('Content-Type' => $type) : () },
                'x' x 10);
            like($res->{status}, qr/^4(?:00|15)$/,
                 'content type ' . (defined $type ? $type : '(none)'));
        }

        is($ask->('/auth', { socket_id => '1.2', channel_name => 'private-x' },
                  'X-User' => 7)->{status}, 200, 'and the next is fine');
    };


    subtest 'methods' => sub {
        for my $method ('GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS') {
            my $res = $http->request($method, '/auth', { 'X-User' => 7 });

            # the body of an answer to HEAD does not come
            $http->{last} = 1 if $method eq 'HEAD';
            is($res->{status}, 405, $method) or next;
            like($res->{headers}{allow}, qr/\bPOST\b/, "$method: Allow");
        }
    };


    subtest 'auth_request decides by $chat_channel' => sub {
        for my $json (0, 1) {
            my $res = $ask->('/guarded', { socket_id => '5.6',
                                           channel_name => 'private-open' },
                             'X-User' => 7, json => $json);
            $signed->($res, $app, '5.6:private-open', 'the one allowed');

            for my $channel ('private-shut', 'private-openx', 'presence-open')
            {
                $res = $ask->('/guarded', { socket_id => '5.6',
                                            channel_name => $channel },
                              'X-User' => 7, json => $json);
                is($res->{status}, 403, "$channel");
                unlike($res->{body}, qr/auth"/, 'no signature');
            }

            # how it is written makes no difference
            $res = $http->request('POST', '/guarded', { 'X-User' => 7,
                'Content-Type' => 'application/x-www-form-urlencoded' },
                'channel_name=%70rivate%2Dshut&socket_id=5.6');
            is($res->{status}, 403, 'written as %70');
            $res = $http->request('POST', '/guarded', { 'X-User' => 7,
                'Content-Type' => 'application/x-www-form-urlencoded' },
                'channel_name=%70rivate%2Dopen&socket_id=5%2E6');
            is($res->{status}, 200, 'written as %70, the one allowed');
        }

        my $res = $ask->('/by-map', { socket_id => '5.6',
                                      channel_name => 'presence-room-7' },
                         'X-User' => 'u');
        is(from_json($res->{body})->{channel_data}, '{"user_id":"u"}',
           'a map of $chat_channel and the user');
        is($ask->('/by-map', { socket_id => '5.6',
                               channel_name => 'presence-secret' },
                  'X-User' => 'u')->{status}, 403, 'which says no');

        $res = $ask->('/by-map', { socket_id => '5.6',
                                   channel_name => 'presence-room-7' },
                      'X-User' => 'u');
        is($res->{headers}{'x-seen'}, 'presence-room-7 5.6',
           '$chat_channel and $chat_socket_id');

        # what is no name gets into no variable, and so into no header
        for my $body ('socket_id=5.6&channel_name=private-x%0d%0aX-Bad:%201',
                      'socket_id=5.6%0d%0aX-Bad:%201&channel_name=private-x')
        {
            $res = $http->request('POST', '/by-map', { 'X-User' => 'u',
                'Content-Type' => 'application/x-www-form-urlencoded' },
                $body);
            is($res->{status}, 400, 'an end of line in a name');
            is($res->{headers}{'x-bad'}, undef, 'no header of its own');
            unlike($res->{headers}{'x-seen'} // '', qr/private|5\.6/,
                   'the variables are empty');
        }
    };


    subtest 'CORS' => sub {
        my %origin = (Origin => 'https://app.example.com');
        my $fields = { socket_id => '1.2', channel_name => 'private-x' };

        my $res = $http->request('OPTIONS', '/auth-cors', { %origin,
            'Access-Control-Request-Method' => 'POST',
            'Access-Control-Request-Headers' => 'x-csrf-token, authorization' });

        is($res->{status}, 204, 'preflight');
        is($res->{headers}{'access-control-allow-origin'}, '*', 'any origin');
        like($res->{headers}{'access-control-allow-methods'}, qr/\bPOST\b/,
             'POST');
        like(lc $res->{headers}{'access-control-allow-headers'},
             qr/x-csrf-token.*authorization/, 'the headers asked for (9.3)');

        $res = $ask->('/auth-cors', $fields, %origin, 'X-User' => 7);
        is($res->{status}, 200, 'the request');
        is($res->{headers}{'access-control-allow-origin'}, '*', 'its header');

        $res = $ask->('/auth-cors', $fields, %origin);
        is($res->{status}, 403, 'a refusal');
        is($res->{headers}{'access-control-allow-origin'}, '*',
           'can be read, too');

        $res = $ask->('/auth', $fields, %origin, 'X-User' => 7);
        ok(!exists $res->{headers}{'access-control-allow-origin'},
           'off by default');
    };


    subtest 'app=' => sub {
        my $ws = $t->ws;
        my $res = $ask->('/other-auth', { socket_id => $ws->socket_id,
                                          channel_name => 'private-x' });
        my $got = $signed->($res, [ 'other-key', 'other-secret' ],
                            $ws->socket_id . ':private-x', 'another app');

        send_subscribe($ws, 'private-x', auth => $got->{auth});
        is_refused($ws, 'private-x', qr/^Invalid key/, 'is not this one');
    };
}


for my $workers (1, 4) {
    my $t = Chat::Pusher->new(workers => $workers,
        files => { passwords => 'ann:' . crypt('pw', 'ab') . "\n" },
        apps => <<'END', more => <<"END2", http => <<'END3');
    chat_app 3 { key app-key-1; secret app-secret-1; }
    chat_app 4 { key 278d425bdf160c739803; secret 7ad3773142a6692b25b8; }
END
        location = /auth { chat_auth app=$id user_id=\$http_x_user; }

        location = /auth-cors {
            chat_auth app=$id user_id=\$http_x_user;
            chat_cors *;
        }

        location = /own {
            chat_auth app=3 user_id=7 'user_info={"name":"Ann"}';
        }

        location = /official { chat_auth app=4 user_id=12345; }
        location = /other-auth { chat_auth app=2 user_id=x; }

        location = /basic {
            auth_basic realm;
            auth_basic_user_file passwords;
            chat_auth app=$id user_id=\$remote_user;
        }

        location = /guarded {
            auth_request /guard;
            chat_auth app=$id user_id=\$http_x_user;
        }

        location = /guard {
            internal;
            if (\$chat_channel != private-open) { return 403; }
            return 204;
        }

        location = /by-map {
            chat_auth app=$id user_id=\$allowed;
            add_header X-Seen "\$chat_channel \$chat_socket_id" always;
        }
END2
    map $chat_channel $allowed {
        ~^presence-room-  $http_x_user;
        default           "";
    }
END3

    subtest "$workers workers" => sub { tests($t) };
    $t->finish;
}

done_testing();
