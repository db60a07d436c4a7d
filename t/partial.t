# Sockets that take a part: events of all sizes to subscribers with small
# kernel buffers, some of whom read late, arrive whole and in order, whether
# they went at once, in parts, or by the queue; $bytes_sent counts them all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server qw(slurp wait_for);
use Chat::WebSocket;

use constant { COUNT => 150, LARGEST => 30_000 };

my $server = Chat::Server->new(
    workers   => 1,
    tls       => 1,
    listen    => 'sndbuf=16k',
    http      => 'log_format sent "$chat_socket_id $bytes_sent";',
    locations => <<'END')->start;
        chat_send_buffer 8m;
        chat_max_message_size 64k;

        location = /messages {
            client_max_body_size 1m;
            client_body_buffer_size 128k;
            chat_history  chat;
            chat_publish  chat new_message;
        }

        location /app/ {
            chat_websocket  log=close;
            access_log      logs/sent.log sent;
        }

        location = /chat_status { chat_status; }
END
my $http = Chat::HTTP->new(port => $server->port);


sub status { return from_json($http->get('/chat_status')->{body}) }


my @ws = map {
    my $ws = Chat::WebSocket->established(
        port   => $_ ? $server->tls_port : $server->port,
        tls    => $_,
        rcvbuf => 4096);

    $ws->subscribe('chat');
    $ws;
} 0, 1, 0, 1;

# a fixed seed: the sizes are the same each time
srand 7;
my @contents = map { "$_:" . 'x' x int rand($_ % 5 ? 6000 : LARGEST) }
               1 .. COUNT;
my @got = map { [] } @ws;

sub take {
    my ($i) = @_;

    my $e = $ws[$i]->next_event;

    push @{ $got[$i] }, from_json($e->{data})->{content} if $e->{event};

    return $e->{event};
}

for my $n (1 .. COUNT) {
    my $res = $http->post('/messages', { content => $contents[$n - 1] });

    is($res->{status}, 201, "message $n") if $res->{status} != 201;

    # two keep up; two are up to ten behind
    take($_) for 0, 1;

    if ($n % 10 == 0) {
        for my $i (2, 3) {
            take($i) for 1 .. 10;
        }
    }
}

for my $i (0 .. $#ws) {
    is(scalar @{ $got[$i] }, COUNT, "subscriber $i has as many");
    ok(join("\n", @{ $got[$i] }) eq join("\n", @contents),
       'each is whole, and in its place');
}

# Both count the answer to the handshake and the frames, by ways of their own.

my $frames = status()->{sent_bytes_total};
my %sent;

$_->disconnect for @ws;

ok(wait_for(10, sub {
       %sent = map { /^(\S+) (\d+)$/ ? ($1 => $2) : () }
               split /\n/, slurp($server->dir . '/logs/sent.log');
       return !grep { !$sent{$_->socket_id} } @ws;
   }), 'all are logged');

my $sum = 0;
$sum += $_ for values %sent;

is($sum, $frames, '$bytes_sent is what chat_status has');

$server->finish;
done_testing();
