# Bad input: each gets its defined answer, and the worker is the same one
# afterwards.  (Bad frames are in websocket.t, bad databases in database.t.)

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::HTTP qw(from_json json_bytes form);
use Chat::Server;
use Chat::WebSocket;

my $server = Chat::Server->new(workers => 1, locations => <<'END')->start;
        location = /messages {
            client_max_body_size 8m;
            chat_history  chat;
            chat_publish  chat new_message;
        }

        location = /small {
            client_max_body_size 1k;
            chat_publish  chat new_message;
        }

        location = /slow {
            client_body_timeout 1s;
            chat_publish  chat new_message;
        }

        location /app/ { chat_websocket; }
END
my ($worker) = $server->worker_pids;
my $http = Chat::HTTP->new(port => $server->port);
my $ws = Chat::WebSocket->established(port => $server->port);

$ws->subscribe('chat');


sub is_400 {
    my ($res, $name) = @_;

    is($res->{status}, 400, "$name: 400");

    my $e = eval { from_json($res->{body}) };

    like(ref $e eq 'HASH' ? $e->{error} : '', qr/\S/, "$name: a JSON error");
}


my %json = (
    'empty'                => '',
    'blank'                => "  \n",
    'truncated'            => '{"content":"hel',
    'truncated at a colon' => '{"content":',
    'truncated escape'     => '{"content":"\\u00',
    'truncated, no brace'  => '{"content":"a"',
    'something behind'     => '{"content":"a"} x',
    'two values'           => '{"content":"a"}{"content":"b"}',
    'a comma too many'     => '{"content":"a",}',
    'a comment'            => '{"content":"a" /* b */}',
    'single quotes'        => "{'content':'a'}",
    'no quotes'            => '{content:"a"}',
    'an array'             => '[{"content":"a"}]',
    'a string'             => '"content"',
    'a number'             => '1',
    'null'                 => 'null',
    'true'                 => 'true',
    'NaN'                  => '{"content":"a","x":NaN}',
    'deep arrays'          => '[' x 100_000,
    'deep arrays, closed'  => '[' x 100_000 . ']' x 100_000,
    'deep arrays within'   => '{"content":"a","x":' . '[' x 100_000
                              . ']' x 100_000 . '}',
    'deep objects'         => '{"a":' x 100_000 . '1' . '}' x 100_000,
    'latin 1'              => "{\"content\":\"caf\xe9\"}",
    'overlong'             => "{\"content\":\"\xc0\xaf\"}",
    'a surrogate in UTF-8' => "{\"content\":\"\xed\xa0\x80\"}",
    'cut UTF-8'            => "{\"content\":\"\xe2\x82\"}",
    'above U+10FFFF'       => "{\"content\":\"\xf4\x90\x80\x80\"}",
    'bad UTF-8 elsewhere'  => "{\"content\":\"a\",\"x\":\"\xff\"}",
    'bad UTF-8 in a name'  => "{\"content\":\"a\",\"\xff\":1}",
    'UTF-16'               => "\xff\xfe{\0}\0",
    'a raw newline'        => "{\"content\":\"a\nb\"}",
    'a raw NUL'            => "{\"content\":\"a\0b\"}",
    'an unknown escape'    => '{"content":"\\x41"}',
);

is_400($http->post('/messages', $json{$_}), $_) for sort keys %json;


subtest 'NUL and surrogate escapes' => sub {
    # stored, answered and sent; half a pair becomes U+FFFD
    my %text = (
        '\\u0000'             => "\0",
        'a\\u0000b'           => "a\0b",
        '\\ud83d\\ude00'      => "\x{1f600}",
        '\\ud800'             => "\x{fffd}",
        '\\uDC00'             => "\x{fffd}",
        'a\\ud800b'           => "a\x{fffd}b",
        '\\ude00\\ud83d'      => "\x{fffd}\x{fffd}",
        '\\ud83d\\u0041'      => "\x{fffd}A",
        '\\ud83dx'            => "\x{fffd}x",
        '\\ud83d\\ud83d\\ude00' => "\x{fffd}\x{1f600}",
    );

    for my $escape (sort keys %text) {
        my $res = $http->post('/messages', "{\"content\":\"$escape\"}");

        is($res->{status}, 201, "$escape: 201") or next;

        ok(from_json($res->{body})->{content} eq $text{$escape},
           "$escape: answered");
        ok(from_json($http->get('/messages?limit=1')->{body})->[0]{content}
           eq $text{$escape}, "$escape: stored");

        my $e = $ws->next_event;
        is($e->{data}, $res->{text}, "$escape: sent as it was answered");
    }
};


subtest 'huge' => sub {
    my $res = $http->post('/messages', { content => 'x' x 900_000 });

    is($res->{status}, 422, '900 kB of content: 422');
    is($res->{body}, '{"content":["is too long (maximum is 10240 bytes)"]}',
       'and the limit');

    # a body is kept in memory, so it has a limit of its own (promise 5)
    $res = $http->post('/messages', { content => 'x' x 4_000_000 });
    is($res->{status}, 413, '4 MB of content: 413');

    $res = $http->post('/messages', { content => 'small',
                                      other => 'x' x 900_000 });
    is($res->{status}, 201, 'an unknown member of 900 kB is ignored');
    is($ws->next_event->{data}, $res->{text}, 'sent without it');

    my %many = map { $_ => 1 } 1 .. 60_000;
    $res = $http->post('/messages', { content => 'many', %many });
    is($res->{status}, 201, '60,000 unknown members are ignored');
    is($ws->next_event->{data}, $res->{text}, 'sent without them');

    $res = $http->post('/messages', '{"content":"a",' . ' ' x 400_000
                                    . '"x":' . '1' x 400_000 . '}');
    is($res->{status}, 201, 'a number of 400,000 digits is ignored');
    $ws->next_event;

    my $small = Chat::HTTP->new(port => $server->port);
    $res = $small->post('/small', { content => 'x' x 2000 });
    is($res->{status}, 413, 'beyond client_max_body_size: 413');

    $small = Chat::HTTP->new(port => $server->port);
    $small->send_raw(Chat::HTTP->format_request('POST', '/small',
        { 'Content-Type' => 'application/json',
          'Transfer-Encoding' => 'chunked' })
        . sprintf("%x\r\n%s\r\n", 2000, '{"content":"' . 'x' x 1988)
        . "0\r\n\r\n");
    $res = $small->read_response('POST');
    is($res->{status}, 413, 'chunked beyond it: 413');
};


subtest 'forms' => sub {
    my %form = ('content=%zz' => 400, 'content=%' => 400, 'content=%4' => 400,
                'content=%ff' => 400, 'content=%c3' => 400,
                'content=%ed%a0%80' => 400, "content=\xff" => 400,
                '' => 422, 'x=1' => 422, 'content' => 422, '=&=&&&=' => 422,
                'content=' => 422, 'content=+%20%09' => 422,
                '&' x 100_000 => 422);

    for (sort keys %form) {
        my $res = $http->request('POST', '/messages',
            { 'Content-Type' => 'application/x-www-form-urlencoded' }, $_);
        is($res->{status}, $form{$_}, substr $_, 0, 20);
        ok(ref from_json($res->{body}), 'JSON');
    }

    my $res = $http->request('POST', '/messages',
        { 'Content-Type' => 'application/x-www-form-urlencoded' },
        'content=a%00b');
    if ($res->{status} == 201) {
        is(from_json($res->{body})->{content}, "a\0b", 'NUL: intact');
        $ws->next_event;

    } else {
        is($res->{status}, 400, 'NUL: 400');
    }
};


subtest 'a Content-Length that lies' => sub {
    my $head = { 'Content-Type' => 'application/json' };
    my $body = '{"content":"short"}';

    # more announced than sent, then the client goes
    for my $more (1, 1000) {
        my $c = Chat::HTTP->new(port => $server->port);
        $c->send_raw(Chat::HTTP->format_request('POST', '/messages',
            { %$head, 'Content-Length' => length($body) + $more }, $body));
        shutdown $c->socket, 1;
        my $res = $c->read_response('POST');
        ok(!$res->{status} || $res->{status} == 400, 'more announced, client gone');
    }

    # more announced than sent, and the client waits
    my $c = Chat::HTTP->new(port => $server->port);
    $c->send_raw(Chat::HTTP->format_request('POST', '/slow',
        { %$head, 'Content-Length' => 1000 }, $body));
    my $res = $c->read_response('POST');
    ok(!$res->{status} || $res->{status} == 408, 'more announced, client waits: 408');

    # less announced than sent: a truncated body, then a bad request
    $c = Chat::HTTP->new(port => $server->port);
    $c->send_raw(Chat::HTTP->format_request('POST', '/messages',
        { %$head, 'Content-Length' => 5 }, $body));
    is_400($c->read_response('POST'), 'less announced');
    $res = $c->read_response('POST');
    ok(!$res->{status} || $res->{status} == 400, 'and the rest is no request');

    # a whole message in less than was sent
    $c = Chat::HTTP->new(port => $server->port);
    $c->send_raw(Chat::HTTP->format_request('POST', '/messages',
        { %$head, 'Content-Length' => length $body }, $body . 'GARBAGE'));
    $res = $c->read_response('POST');
    is($res->{status}, 201, 'garbage behind a whole body: 201');
    is($ws->next_event->{data}, $res->{text}, 'sent');

    for my $bad (-1, 'x', '1x', '99999999999999999999', '1, 2') {
        $c = Chat::HTTP->new(port => $server->port);
        $c->send_raw(Chat::HTTP->format_request('POST', '/messages',
            { %$head, 'Content-Length' => $bad }, $body));
        $res = $c->read_response('POST');
        is($res->{status}, 400, "Content-Length: $bad");
    }
};


subtest 'query arguments' => sub {
    my @bad = map({ my $a = $_; map { "$a=$_" }
                    '', 'x', '-1', '1x', '1.5', '+1', '0x1',
                    '9223372036854775808', '99999999999999999999',
                    '1' x 3000 }
                  'after', 'after_id', 'before', 'before_id', 'limit');

    is_400($http->get("/messages?$_"), substr $_, 0, 40)
        for @bad, 'limit=0', 'limit=1001', 'after=1&before=2',
            'after_id=1&before_id=2';
};


ok($ws->nothing_waits, 'nothing else was sent');

my $res = $http->post('/messages', { content => 'healthy' });
is($res->{status}, 201, 'a message after all that');
is($ws->next_event->{data}, $res->{text}, 'is sent');

is(join(' ', $server->worker_pids), $worker, 'it is the same worker');

$server->finish;

done_testing();
