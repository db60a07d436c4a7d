# A subscriber that stops reading: it neither delays the others nor makes the
# worker grow beyond chat_send_buffer; it is told to reconnect, closed, and
# counted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server qw(SCALE wait_for);
use Chat::WebSocket qw(TEXT CLOSE read_all);

use constant {
    SIZE   => 50_000,           # of a message
    BUFFER => 256 * 1024,       # chat_send_buffer
    COUNT  => 200,              # messages: 10 MB, 40 times the buffer
    # a worker's memory may grow so much; ASan keeps back what is freed, 256 MB
    SLACK  => ($ENV{CHAT_ASAN} ? 300 : 4) * 1024 * 1024,
};

# small kernel buffers, so that the worker's own queue is what is tested
my $server = Chat::Server->new(
    workers   => 1,
    listen    => 'sndbuf=32k',
    locations => <<'END')->start;
        chat_send_buffer 256k;
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


sub open_ws {
    my $ws = Chat::WebSocket->established(port => $server->port, @_);

    $ws->subscribe('chat');

    return $ws;
}


sub status { return from_json($http->get('/chat_status')->{body}) }


my @quick = map { open_ws() } 1 .. 5;
my $missed = 0;


# Posts a message and waits until all quick subscribers have it.  The slow ones
# do not read before all that is over: who waited for them would get nothing.

sub post_one {
    my ($n) = @_;

    my $content = "$n " . 'x' x SIZE;
    my $res = $http->post('/messages', { content => $content });

    die "POST: $res->{status}" unless $res->{status} == 201;

    my %frames;

    # no JSON is decoded here: that would take longer than the sending
    for my $ws (@quick) {
        my $f = $ws->next_frame || [ 'nothing' ];

        $frames{ $f->[1] }++;
        $missed++ unless $f->[0] eq TEXT
                         && index($f->[1], "content\\\":\\\"$n x") > 0;
    }

    $missed++ if keys %frames != 1;
}


# What a worker takes once and keeps is not the subject.
post_one("warm $_") for 1 .. 20;
is($missed, 0, 'without a slow one, all get all');

is(status()->{slow_subscribers_closed}, 0, 'none was closed yet');

my $memory = $server->worker_memory($worker);
my $sockets = $server->sockets_of($worker);


subtest 'slow, then reading again' => sub {
    $missed = 0;

    my $slow = open_ws(rcvbuf => 4096);
    my $most = 0;
    my $n = 0;

    while (status()->{slow_subscribers_closed} == 0 && $n < COUNT) {
        post_one("first " . ++$n);
        my $grown = $server->worker_memory($worker) - $memory;
        $most = $grown if $grown > $most;
    }

    is(status()->{slow_subscribers_closed}, 1, 'it is counted');
    cmp_ok($n * SIZE, '>', BUFFER, 'not before its buffer is full');
    cmp_ok($n * SIZE, '<', BUFFER + 2 * 1024 * 1024, 'but soon after');
    is($missed, 0, 'the others got all meanwhile');
    cmp_ok($most, '<', SLACK * SCALE, 'memory: the buffer and not much more');

    # what it can still read is a beginning without a gap, then the close
    my @events;
    my $e = $slow->next_event;

    while ($e->{event}) {
        push @events, $e;
        $e = $slow->next_event;
    }

    is($e->{close} || 'end without close', 4200, 'it is told to reconnect');

    if (@events && $events[-1]{event} eq 'pusher:error') {
        is((pop @events)->{data}{code}, 4200, 'and why');
    }

    my @numbers = map { from_json($_->{data})->{content} =~ /^first (\d+)/ }
                  @events;

    is("@numbers", join(' ', 1 .. @numbers),
       'what it got before has no gap');

    $slow->send_close(4200);
    is($slow->next_frame->[0], 'eof', 'the connection ends');
};


subtest 'slow for ever' => sub {
    $missed = 0;

    my @slow = map { open_ws(rcvbuf => 4096) } 1 .. 10;
    my $most = 0;

    for my $n (1 .. COUNT) {
        post_one("second $n");
        my $grown = $server->worker_memory($worker) - $memory;
        $most = $grown if $grown > $most;
    }

    is($missed, 0, 'the others got all meanwhile');
    cmp_ok($most, '<', SLACK * SCALE, 'memory: the buffer and not much more');
    is(status()->{slow_subscribers_closed}, 11, 'all are counted');

    my $told = $server->incident('slow_client');

    is($told->{count}, 11, 'and told of by the console');
    is($told->{detail}, 'app 17536051, 127.0.0.1', 'with an app, an address');

    ok(wait_for(30, sub { $server->sockets_of($worker) <= $sockets }),
       'and closed, though they never read');
};


is(join(' ', $server->worker_pids), $worker, 'it is the same worker');

$server->finish;

done_testing();
