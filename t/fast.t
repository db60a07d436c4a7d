# A subscriber for whom a great deal waits, and who then reads it as fast as it
# comes: in one turn of the event loop it gets a part, others are served, and
# it goes on by itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server;
use Chat::TLS qw(read_some);
use Chat::WebSocket qw(TEXT);

use constant {
    SIZE  => 60_000,            # of a message
    COUNT => 400,               # messages: 24 MB, more than the kernel takes
    TURN  => 1024 * 1024,       # bytes for one client in one turn
    BATCH => 1024 * 1024,       # and of one call more
};

my $server = Chat::Server->new(
    workers   => 1,
    tls       => 1,
    locations => <<'END')->start;
        chat_send_buffer 64m;
        chat_max_message_size 64k;

        location = /messages {
            client_max_body_size 1m;
            client_body_buffer_size 128k;
            chat_history  chat;
            chat_publish  chat new_message;
        }

        location /app/ { chat_websocket; }
        location = /chat_status { chat_status; }
END
my ($worker) = $server->worker_pids;
my $http = Chat::HTTP->new(port => $server->port);


# Bytes that WebSockets' sockets have taken.

sub sent { return from_json($_[0]{body})->{sent_bytes_total} }


for my $tls (0, 1) {
    my $name = $tls ? 'over TLS' : 'without TLS';
    my $ws = Chat::WebSocket->established(
                 port => $tls ? $server->tls_port : $server->port,
                 tls  => $tls);

    $ws->subscribe('chat');

    my $start = sent($http->get('/chat_status'));

    for my $n (1 .. COUNT) {
        my $res = $http->post('/messages', { content => "$n " . 'x' x SIZE });

        die "POST: $res->{status}" if $res->{status} != 201;
    }

    my $full = sent($http->get('/chat_status'));

    cmp_ok($full - $start, '<', (COUNT - 100) * SIZE, "$name: much waits");

    # While the worker stands, the socket becomes empty; then somebody else
    # asks.  The worker finds both when it goes on, in this order.

    Chat::Server::stop_worker($worker);

    my $wanted = $full - $start;
    my $got = 0;
    my $select = IO::Select->new($ws->socket);

    while ($got < $wanted && $select->can_read(10)) {
        $got += read_some($ws->socket, \$ws->{buffer}) || 0;
    }

    cmp_ok($got, '>=', $wanted, 'the socket is empty');

    $http->send_raw("GET /chat_status HTTP/1.1\r\nHost: localhost\r\n\r\n");

    kill 'CONT', $worker;

    my $now = sent($http->read_response('GET'));

    cmp_ok($now - $full, '>', 0, 'it is its turn');
    cmp_ok($now - $full, '<', TURN + BATCH, 'it has a part, and others come');

    my ($n, $bad) = (0, 0);

    while ($n < COUNT) {
        my $f = $ws->next_frame or last;

        $n++;
        $bad++ if $f->[0] ne TEXT || index($f->[1], "content\\\":\\\"$n x") < 0;
    }

    is("$n, $bad", COUNT . ', 0', 'then it gets the rest, in order');

    $ws->disconnect;
}

is(join(' ', $server->worker_pids), $worker, 'it is the same worker');

$server->finish;

done_testing();
