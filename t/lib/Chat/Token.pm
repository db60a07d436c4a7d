package Chat::Token;

# Clients with a token behind the key, and what they are told of recovery.

use strict;
use warnings;

use Exporter 'import';
use Test::More;

use Chat::HTTP qw(from_text);
use Chat::Pusher qw(send_subscribe is_event);
use Chat::Server qw(APP_KEY);
use Chat::WebSocket qw(PING);

our @EXPORT_OK = qw(fresh_token fresh path_of client enter is_new is_recovered
                    has_heard acknowledge read_events);

my $serial = 0;


sub fresh_token { return sprintf 'token-%012d', ++$serial }
sub fresh       { return shift() . ++$serial }


# The path of a client; pusher-js, where no other is named.

sub path_of {
    my ($token, $client) = @_;

    return '/app/' . APP_KEY . ";$token?protocol=7&client="
           . ($client || 'js') . '&version=8.6.0';
}


sub client {
    my ($t, @of) = @_;

    return $t->ws(path => path_of(@of));
}


# Subscribes: what pusher:recovery says, and the data of the answer.

sub enter {
    my ($ws, $channel, %o) = @_;

    send_subscribe($ws, $channel, %o);

    my $e = $ws->next_event;

    is($e->{event}, 'pusher_internal:subscription_succeeded',
       "subscribed to $channel") or diag($e->{raw});

    my $data = from_text($e->{data});

    $e = $ws->next_event;
    is($e->{event}, 'pusher:recovery', 'and told of recovery')
        or diag($e->{raw});
    is($e->{channel}, $channel, 'of this channel');

    my $told = from_text($e->{data});

    is(!!$told->{recovered}, !!$data->{recovered}, 'twice the same');

    return ($told, $data);
}


sub is_new {
    my ($ws, $channel, $name, %o) = @_;

    my ($told, $data) = enter($ws, $channel, %o);

    is_deeply($told, { recovered => JSON::PP::false }, "$name: not recovered");
    ok(defined $data->{recovered}, "$name: said in the answer, too");

    has_heard($ws) if !$o{later};
}


# The server asks whether the client has heard that, and until it says so it is
# told again.  With later => 1 something else comes before the question.

sub has_heard {
    my ($ws) = @_;

    if (($ws->{path} // 'client=js') =~ /client=js/) {
        acknowledge($ws);

    } else {
        my $f = $ws->next_frame(10);

        is($f->[0], PING, 'R11: asked by a Ping');
        ok($ws->nothing_waits, 'and the answer is taken');
    }
}


# ...and these events follow.

sub is_recovered {
    my ($ws, $channel, $events, $name, %o) = @_;

    my ($told) = enter($ws, $channel, %o);

    ok($told->{recovered}, "$name: recovered");
    is($told->{missed}, scalar @$events, "$name: how many were missed");
    like($told->{from}, qr/^[0-9a-f]+\z/, "$name: from a position");

    is_event($ws->next_event, 'news', $channel, $_, "$name: sent again")
        for @$events;

    return $told->{from};
}


# Waits for the ping behind what has come, and answers it: its position.

sub acknowledge {
    my ($ws) = @_;

    my $e = $ws->next_event(10);

    is($e->{event}, 'pusher:ping', 'R9: asked') or diag($e->{raw});
    $ws->send_event({ event => 'pusher:pong', data => {} });

    # the server has taken it: another connection could come before it
    # (who sends by a request of its own has been answered)
    ok(!$ws->can('nothing_waits') || $ws->nothing_waits,
       'and the answer is taken');

    return from_text($e->{data})->{at};
}


sub read_events {
    my ($ws, $channel, @texts) = @_;

    is_event($ws->next_event, 'news', $channel, $_, 'live') for @texts;
}


1;
