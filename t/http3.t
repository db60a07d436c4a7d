# All endpoints but the WebSocket over HTTP/3, as curl asks them, and streams
# that their client stops.  nginx has it from 1.25 on, Debian from 13 on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API qw(is_ok);
use Chat::HTTP qw(form from_json from_text);
use Chat::HTTP3;
use Chat::Pusher qw(channel_auth is_event send_subscribe subscribe_to);
use Chat::Server qw(APP_KEY wait_for);
use Chat::Token qw(fresh);
use Chat::WebSocket;

my $missing = Chat::HTTP3->missing;

plan skip_all => $missing if $missing;

use constant {
    SIZE  => 9000,              # of a message
    COUNT => 300,               # of a page
};

my $t = Chat::Pusher->new(
    tls    => 1,
    http3  => 1,
    events => 'debug_connection 127.0.0.1;',    # which logs QUIC's frames
    more   => <<'END');
        location = /messages {
            chat_history  chat app=17536051;
            chat_publish  chat new_message app=17536051;
            chat_cors     https://www.example.com;
        }

        location = /auth   { chat_auth user_id=$arg_user app=17536051; }
        location /apps/    { chat_api; }
        location /events/  { chat_events; }
        location /pusher/  { chat_fallback; }
END
my $h3 = Chat::HTTP3->new(port => $t->server->tls_port);
my $api = Chat::API->new(http => $h3);


# An answer over HTTP/3 with this status.

sub is_answer {
    my ($res, $status, $name) = @_;

    return is("HTTP/" . ($res->{version} || '-') . " $res->{status}",
              "HTTP/3 $status", $name)
           || diag("curl's exit status: $res->{exit}\n$res->{body}");
}


sub events_path {
    my ($channel, %o) = @_;

    return '/events/' . APP_KEY . "?channels=$channel"
           . join '', map { "&$_=$o{$_}" } sort keys %o;
}


subtest 'messages' => sub {
    my $ws = Chat::WebSocket->established(port => $t->port);

    subscribe_to($ws, 'chat');

    my $res = $h3->post('/messages', { content => 'hello' });

    is_answer($res, 201, 'JSON');
    is(from_json($res->{body})->{content}, 'hello', 'the message');
    is($ws->next_event->{data}, $res->{body}, 'which a WebSocket hears');

    $res = $h3->request('POST', '/messages', {}, form(content => 'a form'));
    is_answer($res, 201, 'a form');
    is($ws->next_event->{data}, $res->{body}, 'which it hears, too');

    is_answer($h3->post('/messages', { content => '' }), 422, 'no text');
    is_answer($h3->request('PUT', '/messages', {}, 'x'), 405, 'PUT');
    is_answer($h3->request('POST', '/messages',
                           { 'Content-Type' => 'text/xml' }, 'x'),
              415, 'XML');

    $res = $h3->get('/messages');
    is_answer($res, 200, 'the history');
    is_deeply([ map { $_->{content} } @{ from_json($res->{body}) } ],
              [ 'hello', 'a form' ], 'has them');

    $res = $h3->request('HEAD', '/messages');
    is_answer($res, 200, 'HEAD');
    ok($res->{headers}{'chat-epoch'}, 'the epoch');
    is($res->{body} =~ s/^HTTP.*//rs, '', 'and no body');

    $res = $h3->request('OPTIONS', '/messages', {
        Origin => 'https://www.example.com',
        'Access-Control-Request-Method' => 'POST' });
    is_answer($res, 204, 'a preflight');
    is($res->{headers}{'access-control-allow-origin'},
       'https://www.example.com', 'is allowed');
};


subtest 'a long page' => sub {
    $t->http->post('/messages', { content => 'x' x SIZE }) for 1 .. COUNT;

    my $path = '/messages?limit=' . COUNT;
    my $res = $h3->get($path);

    is_answer($res, 200, 'the page');
    is(length $res->{body}, length $t->http->get($path)->{body},
       'as long as over HTTP/1.1');
    is(scalar @{ from_json($res->{body}) }, COUNT, 'and whole');
};


# A client stops streams by STOP_SENDING, and goes on with the others of its
# connection: curl, which wants no more bytes of each than it was told.

sub stop_all {
    my ($n, $path, $after, $begun, $cause, $freed) = @_;

    my $other = fresh('chat-');
    my $logged = length $t->server->error_log;
    my $stream = $h3->stream(
        [ events_path($other) ],
        map { [ "$path&n=$_", '--max-filesize', $after,
                '--output', '/dev/null' ] } 1 .. $n);

    # whose request may come behind the others', where a packet was lost
    ok($stream->read_until(qr/^id: \S+\n\n/m), 'another one is there');
    ok(wait_for(10, $begun), 'all are there');
    $cause->();
    ok(wait_for(10, $freed), 'what is stopped is gone');

    my $data = $t->publish($other, 'hello');
    ok($stream->read_until(qr/^data: \Q$data\E\n/m), 'another one goes on');

    my @stops = substr($t->server->error_log, $logged)
                =~ /\*(\d+) quic frame rx app:\d+ STOP_SENDING id/g;
    my %connections = map { $_ => 1 } @stops;

    cmp_ok(scalar @stops, '>=', $n, 'each was stopped by STOP_SENDING');
    is(scalar keys %connections, 1, 'on one connection');

    $stream->close;
}


subtest 'streams of events that their client stops' => sub {
    my $channel = fresh('chat-');

    stop_all(20, events_path($channel), 2000,
             sub { $t->status->{connections_events} == 21 },
             sub { $t->publish($channel, 'x' x 4000) },
             sub { $t->status->{connections_events} == 1 });
};


# No more than four, since OpenSSL's QUIC, which Debian 13's curl is built
# with, never gives the server back what it got of a stream that it stopped:
# 768 KB are all that its connection takes.

subtest 'pages that their client stops' => sub {
    my $before = $t->status->{store}{reads};

    stop_all(4, '/messages?limit=' . COUNT, 20000,
             sub { $t->status->{store}{reads} >= $before + 4 },
             sub { },
             sub { my $store = $t->status->{store};
                   $store->{page_bytes} == 0 && $store->{reads_queued} == 0 });
};


subtest 'the HTTP API' => sub {
    my $channel = fresh('chat-');
    my $ws = Chat::WebSocket->established(port => $t->port);

    subscribe_to($ws, $channel);

    my $res = $api->trigger({ name => 'news', channel => $channel,
                              data => 'hello' });
    is_answer($res, 200, 'a trigger');
    is($ws->next_event->{data}, 'hello', 'is heard');

    $res = $api->get('channels');
    is_answer($res, 200, 'channels');
    ok(from_json($res->{body})->{channels}{$channel}, 'has it');

    is_answer(Chat::API->new(http => $h3, secret => 'wrong')->get('channels'),
              401, 'a wrong signature');
};


subtest 'chat_auth' => sub {
    my $channel = fresh('private-');
    my $ws = Chat::WebSocket->established(port => $t->port);
    my %fields = (socket_id => $ws->socket_id, channel_name => $channel);

    my $res = $h3->request('POST', '/auth?user=ann', {}, form(%fields));

    is_answer($res, 200, 'who is known');
    is(from_json($res->{body})->{auth}, channel_auth($ws, $channel),
       'gets a signature');
    ok(subscribe_to($ws, $channel, auth => from_json($res->{body})->{auth}),
       'which is good');

    is_answer($h3->request('POST', '/auth', {}, form(%fields)), 403,
              'who is not');
};


subtest 'chat_events' => sub {
    my $channel = fresh('chat-');
    my $stream = $h3->stream([ events_path($channel) ]);

    ok($stream->read_until(qr/^id: (\S+)\n\n/m), 'a stream begins');
    my ($id) = $stream->text =~ /^id: (\S+)\n\n/m;

    my $data = $t->publish($channel, 'hello');
    ok($stream->read_until(qr/^event: news\ndata: \Q$data\E\n/m),
       'and has an event');
    $stream->close;

    my $res = $h3->get(events_path($channel, poll => 1, last_event_id => $id));

    is_answer($res, 200, 'a poll');
    like($res->{body}, qr/"hello"|\\"hello\\"/, 'has it, too');
};


subtest 'the fallback' => sub {
    my $channel = fresh('chat-');
    my $session = '/pusher/app/' . APP_KEY . '/1/http3';
    my $query = 'protocol=7&client=js&version=8.6.0';
    my $stream = $h3->stream([ "$session/xhr_streaming?$query",
                               '--request', 'POST' ]);

    ok($stream->read_until(qr/^o\na\[.*connection_established.*\]\n/m),
       'a stream begins');

    my $subscribe = qq({"event":"pusher:subscribe",)
                    . qq("data":{"channel":"$channel"}});
    is_answer($h3->request('POST', "$session/xhr_send",
                           { 'Content-Type' => 'application/json' },
                           '["' . $subscribe =~ s/"/\\"/gr . '"]'),
              204, 'a command');
    ok($stream->read_until(qr/subscription_succeeded/), 'is heard');

    $t->publish($channel, 'hello');
    ok($stream->read_until(qr/^a\[.*hello.*\]\n/m), 'and so is an event');
    $stream->close;

    my $res = $h3->request('POST', '/pusher/app/' . APP_KEY
                                   . "/2/http3/xhr?$query", {}, '');

    is_answer($res, 200, 'a poll');
    is($res->{body}, "o\n", 'opens a session');
};


subtest 'chat_status' => sub {
    my $res = $h3->get('/chat_status');

    is_answer($res, 200, 'JSON');
    is(from_json($res->{body})->{workers}, 2, 'of both workers');

    $res = $h3->get('/chat_status?format=prometheus');
    is_answer($res, 200, 'Prometheus');
    like($res->{body}, qr/^ngx_chat_connections /m, 'counts connections');
};


subtest 'no WebSocket' => sub {
    my $res = $h3->get('/app/' . APP_KEY . '?protocol=7');

    is_answer($res, 426, 'is told what is wrong');
};


$t->finish;

done_testing();
