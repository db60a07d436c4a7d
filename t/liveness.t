# The server's own check that a client is there (P15, P16, P17).  The wait for
# an answer is 30 s by the protocol, so this test takes a little longer than
# that; all its clients wait at the same time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time);

use Chat::HTTP qw(from_json);
use Chat::Server qw(SCALE);
use Chat::WebSocket qw(TEXT PING PONG CLOSE read_all);

my $server = Chat::Server->new(workers => 1, locations => <<'END')->start;
        location /app/ { chat_websocket; chat_activity_timeout 1s; }
        location /long/ { chat_websocket; chat_activity_timeout 120s; }
        location = /chat_status { chat_status; }
END


sub open_ws {
    return Chat::WebSocket->established(port => $server->port, @_,
                                        frames_seen => []);
}


my $start = time();

my %ws = (
    pong    => open_ws(),                      # answers Ping frames, no more
    silent  => open_ws(auto_pong => 0),        # answers nothing
    late    => open_ws(auto_pong => 0),        # answers after 20 s, then not
    pinging => open_ws(auto_pong => 0),        # sends Ping frames only
    texting => open_ws(auto_pong => 0),        # sends pusher:ping only
    idle    => open_ws(path => '/long/app/' . Chat::Server::APP_KEY,
                       auto_pong => 0),        # has 120 s
);

my %name = map { $ws{$_} => $_ } keys %ws;
my %seen = map { $_ => [] } keys %ws;
my %ended;
my $answered;
my ($sent, $last) = (0, 0);

is($ws{pong}{activity_timeout}, 1, 'the client is told the timeout');

# Ten times what the protocol gives a client.
read_all(300, [ values %ws ], sub {
    my ($ws, $f) = @_;

    my $name = $name{$ws};

    push @{ $seen{$name} }, [ time() - $start, @$f ];
    $ended{$name} = time() - $start if $f->[0] eq 'eof';
    $ws->send_raw(Chat::WebSocket->frame(opcode => CLOSE, payload => $f->[1]))
        if $f->[0] eq CLOSE;

}, sub {
    my $now = time() - $start;

    if ($now - $last > 0.4) {
        $last = $now;
        $sent++;
        $ws{pinging}->send_frame(opcode => PING, payload => 'x');
        $ws{texting}->send_text('{"event":"pusher:ping"}');
    }

    if (!$answered && $now > 20) {
        $answered = 1;
        $ws{late}->send_frame(opcode => PONG);
    }

    return $now > 34 && $ended{silent};
});


sub frames {
    my ($name, $opcode) = @_;

    return grep { $_->[1] eq $opcode } @{ $seen{$name} };
}


# How many more there are of what is under way.

sub more {
    my ($name, $opcode) = @_;

    return scalar grep { $_->[0] eq $opcode } @{ $ws{$name}->drain || [] };
}


subtest 'P16: a silent client' => sub {
    my @frames = @{ $seen{silent} };

    is($frames[0][1], PING, 'gets a WebSocket Ping');
    cmp_ok($frames[0][0], '>', 0.9, 'not before the activity timeout');

    # about 1 s on an idle machine
    cmp_ok($frames[0][0], '<', 10 * SCALE, 'but then');

    my ($error) = frames('silent', TEXT);
    my $e = $error ? from_json($error->[2]) : {};

    is($e->{event}, 'pusher:error', 'then an error');
    is($e->{data}{code}, 4201, 'of code 4201');

    my ($close) = frames('silent', CLOSE);

    is($close ? unpack('n', $close->[2]) : 'none', 4201, 'and close 4201');

    # since the start, as the Ping may have been seen late
    cmp_ok($close ? $close->[0] : 0, '>', 30.9,
           'not before the timeout and 30 s more');
    ok($ended{silent}, 'then the connection ends');

    my $status = from_json(Chat::HTTP->new(port => $server->port)
                               ->get('/chat_status')->{body});

    is($status->{connections_closed_by_reason}{silent}, 1, 'it is counted');
    is($status->{connections_closed}, 1, 'and nobody else');
};


subtest 'P15: a client that answers with Pong' => sub {
    # some 30 on an idle machine
    cmp_ok(scalar(frames('pong', PING)), '>=', 3, 'gets Pings again and again');
    is(scalar(frames('pong', CLOSE)), 0, 'is not closed');
    is($ws{pong}->subscribe('a')->{channel}, 'a', 'and lives');
};


subtest 'a client that answers late' => sub {
    is(scalar(frames('late', CLOSE)), 0, 'is not closed when others are');
    cmp_ok(scalar(frames('late', PING)), '>=', 2, 'is asked again');
};


subtest 'P17: a client that sends Ping frames only' => sub {
    is(frames('pinging', PONG) + more('pinging', PONG), $sent,
       'gets a Pong for each');
    is(scalar(frames('pinging', CLOSE)), 0, 'is not closed');
    is($ws{pinging}->subscribe('a')->{channel}, 'a', 'and lives');
};


subtest 'a client that sends pusher:ping only' => sub {
    is(frames('texting', TEXT) + more('texting', TEXT), $sent,
       'gets a pusher:pong for each');
    is(scalar(frames('texting', CLOSE)), 0, 'is not closed');
    is($ws{texting}->subscribe('a')->{channel}, 'a', 'and lives');
};


subtest 'a client with 120 s' => sub {
    is(scalar(@{ $seen{idle} }), 0, 'is sent nothing at all');
    ok($ws{idle}->nothing_waits, 'and lives');
};


$server->finish;

done_testing();
