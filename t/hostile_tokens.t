# Hostile clients with tokens: each is told the truth, another client notices
# nothing, and the memory comes back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP qw(from_json from_text);
use Chat::Pusher qw(send_subscribe is_event);
use Chat::Server qw(APP_KEY wait_for);
use Chat::Token qw(fresh_token fresh path_of client is_new is_recovered
                   acknowledge read_events);
use Chat::WebSocket qw(PONG);

use constant {
    TOKENS   => $ENV{CHAT_VALGRIND} ? 1000
                : $ENV{CHAT_WHOLE} ? 100_000 : 5000,
    MANY     => 50,
    FLOOD    => $ENV{CHAT_VALGRIND} ? 300 : 2000,
    CHANNELS => 1024,                   # that a session remembers
    ZONE     => 2 << 20,
};

my $t = Chat::Pusher->new(workers => 2, zone => '2m', connections => 2000,
    app  => 'client_events on; channels_per_connection 0;',
    more => "location /short/app/ { chat_websocket; chat_recovery 1s; }\n");

my ($witness) = $t->ws;
$t->fence($witness);


sub unharmed {
    my ($name) = @_;

    $t->nothing("$name: another client notices nothing", $witness);
    $t->server->check_workers;
}


subtest 'the key, with what stands behind it' => sub {
    my $token = 'x' x 20;
    my %code = (
        ";$token"            => 0,
        "%3B$token"          => 0,      # as a proxy may write it
        ";$token;"           => 4005,
        ";;$token"           => 4005,
        ";$token/"           => 0,
        ";" . 'x' x 3000     => 4005,
        ";$token%00"         => 'none',
        ";$token%0a"         => 4005,
        ";%f0%9f%98%80$token" => 4005,
        ";\$request_$token"  => 4005,
        ";../../$token"      => 4001,   # nginx makes it /app/$token
        ";"                  => 4005,
        "x;$token"           => 4001,
    );

    for my $text (sort keys %code) {
        my $ws = Chat::WebSocket->new(port => $t->port,
            path => '/app/' . APP_KEY . "$text?protocol=7&client=js");
        my $name = substr $text, 0, 40;

        if ($code{$text} eq 'none') {
            isnt($ws->{status}, 101, "$name: no such place");
            next;
        }

        my $e = $ws->next_event;

        if (!$code{$text}) {
            is($e->{event}, 'pusher:connection_established', $name);
            is(from_text($e->{data})->{recovery}, 120, "$name: is a token");
            next;
        }

        is($e->{data}{code}, $code{$text}, "$name: refused");
        is($ws->wait_close, $code{$text}, "$name: and closed");
    }

    unharmed('odd tokens');
};


# Opens connections, each with another token and a subscription, and is gone.

sub come_and_go {
    my ($n) = @_;
    my $there = 0;

    while ($n > 0) {
        my @ws = map {
            Chat::WebSocket->new(port => $t->port,
                                 path => '/short' . path_of(fresh_token()))
        } 1 .. ($n < MANY ? $n : MANY);

        send_subscribe($_, 'crowd') for @ws;

        for my $ws (@ws) {
            my @got = map { $ws->next_event->{event} || 'end' } 1 .. 3;

            $there++ if $got[2] eq 'pusher:recovery';
            $ws->disconnect;
        }

        $n -= @ws;
    }

    return $there;
}


subtest TOKENS . ' tokens from one client' => sub {
    my $before = $t->status;

    is(come_and_go(TOKENS), TOKENS, 'each is let in');
    unharmed('tokens');

    ok(wait_for(10, sub {
        $t->status->{connections} == $before->{connections} }),
       'they are gone');
    cmp_ok($t->status->{zone_used_bytes},
           '<=', $before->{zone_used_bytes} + ZONE / 16,
           'an eighth of the half that is no ring is the most');

    ok(wait_for(30, sub {
        $t->status->{zone_used_bytes} <= $before->{zone_used_bytes} }),
       'and all of it is free when they have expired');
};


subtest 'a token used by ' . MANY . ' at once' => sub {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $before = $t->status;
    my @ws = map { client($t, $token) } 1 .. MANY;

    send_subscribe($_, $channel) for @ws;

    my @told = map {
        my $ws = $_;
        my @got = map { $ws->next_event } 1, 2;
        from_text($got[1]{data})->{recovered};
    } @ws;

    ok(!(grep { $_ } @told[1 .. $#told]), 'nobody is told that it has all');

    my $news = $t->publish($channel, 'news');
    is_event($_->next_event, 'news', $channel, $news, 'live to each') for @ws;

    is($t->status->{tokens_shared}, $before->{tokens_shared} + 1,
       'they share one, which is counted once');
    is_new(client($t, $token), $channel, 'nor who comes behind them');

    $t->close_all(@ws);
    unharmed('a shared token');
};


subtest 'pongs that were not asked for' => sub {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $ws = client($t, $token);
    is_new($ws, $channel, 'at first');

    my $news = $t->publish($channel, 'news');
    read_events($ws, $channel, $news);
    $ws->disconnect;

    my $back = client($t, $token);
    is_recovered($back, $channel, [ $news ], 'back');

    my $java = client($t, my $other = fresh_token(), 'java');
    is_new($java, $channel, 'another kind of client');

    my $before = $t->status->{acknowledgements};

    $java->send_raw(join '', map { $java->frame(opcode => PONG,
                                                payload => 'ffffffffff') }
                             1 .. FLOOD);
    ok($java->nothing_waits, 'they are taken');
    is($t->status->{acknowledgements}, $before, 'nothing was asked for');

    $news = $t->publish($channel, 'more');
    read_events($java, $channel, $news);
    $java->disconnect;

    my $again = client($t, $other, 'java');
    is_recovered($again, $channel, [ $news ], 'and all is sent again');
    $t->close_all($back, $again);
    unharmed('pongs');
};


subtest 'pongs that never come' => sub {
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $ws = client($t, $token);

    is_new($ws, $channel, 'at first');

    my (@all, $pings);

    for my $n (1 .. 200) {
        my $res = $t->http->post('/publish', { content => "n$n" },
            { 'X-Channel' => $channel, 'X-Event' => 'news' });
        push @all, $res->{text};
    }

    # until it has been asked, and then as much again
    my $events = 0;

    while ($events < 200 || !$pings) {
        my $e = $ws->next_event(10);

        last if !defined $e->{event};
        $e->{event} eq 'pusher:ping' ? $pings++ : $events++;
    }

    is($events, 200, 'all events come');
    $t->publish($channel, 'one more');
    push @all, $ws->next_event->{data};

    my @rest = $t->fence($ws);
    is(join(' ', map { $_->{event} } map { @$_ } @rest), '',
       'it is not asked again before it has answered');
    is($pings, 1, 'one ping is out');
    $ws->disconnect;

    my $back = client($t, $token);
    is_recovered($back, $channel, \@all, 'and all comes again');
    $t->close_all($back);
    unharmed('no pongs');
};


subtest 'a flood of subscriptions' => sub {
    my $token = fresh_token();
    my $before = $t->status;
    my $ws = client($t, $token);
    my $told = 0;

    for (my $n = 0; $n < FLOOD; $n += 100) {
        send_subscribe($ws, "flood-$_") for $n + 1 .. $n + 100;

        for my $f (@{$ws->drain || []}) {
            $told++ if from_json($f->[1])->{event} eq 'pusher:recovery';
        }
    }

    is($told, FLOOD, 'each is told of recovery');

    # a question that came between is answered; the next one is behind all
    $ws->send_event({ event => 'pusher:pong', data => {} });
    acknowledge($ws);
    $t->close_all($ws);

    my $back = client($t, $token);
    is_recovered($back, 'flood-1', [], 'it comes back to the first');

    is_new($back, 'flood-' . FLOOD, 'but so many are not remembered')
        if FLOOD > CHANNELS;

    for (1 .. FLOOD / 10) {
        send_subscribe($back, 'flood-2');
        $back->unsubscribe('flood-2');
    }

    ok($back->drain, 'come and go');
    $t->close_all($back);
    unharmed('subscriptions');
};


$t->finish;
done_testing;
