# What a client has asked for reaches it, at whatever speed it reads: two lists
# of members that are together larger than chat_send_buffer, and the Pong to a
# Ping that it sends meanwhile.  A client that does not read is not answered
# without a bound: the server takes no more of its commands.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Pusher qw(channel_auth join_presence member send_subscribe);
use Chat::Server;
use Chat::WebSocket qw(PONG PING data_of);

use constant {
    MEMBERS => 100,                     # of about 900 bytes: a list of 90 KB
    ASKED   => 200,                     # lists
    # commands that may be taken while nothing is read: the lists that fit
    # into the buffers of the kernel and of the server, and one more
    TAKEN   => 20,
};

# small buffers, so that the worker's own queue is what is tested; members say
# nothing, and stay
my $t = Chat::Pusher->new(workers => 1, listen => 'sndbuf=32k',
                          more => 'chat_send_buffer 64k;
                                   chat_activity_timeout 1h;');

for my $channel ('presence-a', 'presence-b') {
    for my $n (1 .. MEMBERS) {
        my $ws = $t->ws;

        push @{ $t->{held} }, $ws;
        join_presence($ws, $channel, $n, { text => 'x' x 850 });
    }
}


# An open connection with a small receive buffer.

sub reader { return Chat::WebSocket->established(port => $t->port,
                                                 rcvbuf => 4096) }


sub status { return from_json($t->http->get('/chat_status')->{body}) }


# The lists that come next, up to the Pong: each with its channel and the number
# of its members, and how many of them in a row.

sub lists {
    my ($ws) = @_;

    my @seen;

    while (my $f = $ws->next_frame(30)) {
        return join ' ', map { "$_->[1] of $_->[0]" } @seen
            if $f->[0] eq PONG;

        my $e = from_json($f->[1]);
        my $is = $e->{event} eq 'pusher_internal:subscription_succeeded'
            ? "$e->{channel}:" . data_of($e)->{presence}{count} : $f->[1];

        push @seen, [ $is, 0 ] if !@seen || $seen[-1][0] ne $is;
        $seen[-1][1]++;
    }

    return 'no Pong';
}


subtest 'two lists and a Ping' => sub {
    my $ws = reader();

    for my $channel ('presence-a', 'presence-b') {
        my $data = member(1000, { text => 'me' });

        send_subscribe($ws, $channel, data => $data,
                       auth => channel_auth($ws, $channel, $data));
    }

    $ws->send_frame(opcode => PING, payload => 'there?');

    # the worker has taken all that before it answers this
    is(status()->{slow_subscribers_closed}, 0, 'it is not taken for slow');

    my $members = MEMBERS + 1;

    is(lists($ws), "1 of presence-a:$members 1 of presence-b:$members",
       'it gets both, and the Pong behind them');
};


subtest 'commands of a client that does not read' => sub {
    my $ws = reader();
    my $before = status()->{commands_total};
    my $data = member(2000, { text => 'me' });
    my $auth = channel_auth($ws, 'presence-a', $data);

    for (1 .. ASKED) {
        send_subscribe($ws, 'presence-a', data => $data, auth => $auth);
        $ws->unsubscribe('presence-a');
    }

    $ws->send_frame(opcode => PING, payload => 'there?');

    cmp_ok(status()->{commands_total} - $before, '<=', TAKEN,
           'few of them are taken');

    is(lists($ws), ASKED . ' of presence-a:' . (MEMBERS + 1),
       'when it reads, all are, and it gets each answer');
    is(status()->{slow_subscribers_closed}, 0, 'nobody was slow');
};


$t->finish;

done_testing();
