# pusher_internal:subscription_count (P60, P61).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time);

use Chat::HTTP qw(from_json from_text);
use Chat::Pusher qw(send_subscribe subscribe_to join_presence signin is_event
                    is_error events_of);
use Chat::WebSocket qw(TEXT read_all);

my $serial = 0;


sub fresh { return shift() . ++$serial }


sub is_count {
    my ($ws, $channel, $n, $name) = @_;

    is_event($ws->next_event, 'pusher_internal:subscription_count', $channel,
             "{\"subscription_count\":$n}", $name);
}


sub tests {
    my ($t) = @_;

    for my $prefix ('', 'private-', 'cache-', 'private-cache-') {
        subtest "P60: ${prefix}x" => sub {
            my ($a, $b, $c) = $t->spread(3);
            my $channel = fresh("${prefix}x");

            subscribe_to($a, $channel);
            is($a->next_event->{event}, 'pusher:cache_miss', 'nothing cached')
                if $prefix =~ /cache/;
            is_count($a, $channel, 1,
                     'the joiner gets it after subscription_succeeded');

            subscribe_to($b, $channel);
            is($b->next_event->{event}, 'pusher:cache_miss', 'nothing cached')
                if $prefix =~ /cache/;
            is_count($_, $channel, 2, 'all get the second') for $a, $b;

            $a->unsubscribe($channel);
            is_count($b, $channel, 1, 'unsubscribing');
            $t->nothing('who has left gets none', $a);

            subscribe_to($c, $channel);
            $c->next_event if $prefix =~ /cache/;
            is_count($_, $channel, 2, 'a third') for $b, $c;
            $c->disconnect;
            is_count($b, $channel, 1, 'the end of a connection');

            send_subscribe($b, $channel);
            is_error($b, undef, qr/^Existing subscription/, 'twice');
            $t->nothing('which is no change', $b);
        };
    }


    subtest 'P61: none on presence channels, encrypted ones, and users' => sub {
        my ($a, $b) = $t->spread(2);

        for my $prefix ('presence-', 'presence-cache-') {
            my $channel = fresh($prefix);

            join_presence($a, $channel, 'a');
            $a->next_event if $prefix =~ /cache/;
            join_presence($b, $channel, 'b');
            $b->next_event if $prefix =~ /cache/;
            $b->unsubscribe($channel);
            is($a->next_event->{event}, "pusher_internal:member_$_",
               "$channel: $_") for 'added', 'removed';
        }

        for my $prefix ('private-encrypted-', 'private-encrypted-cache-') {
            my $channel = fresh($prefix);

            subscribe_to($a, $channel);
            $a->next_event if $prefix =~ /cache/;
            subscribe_to($b, $channel);
            $b->next_event if $prefix =~ /cache/;
            $b->unsubscribe($channel);
        }

        my $user = fresh('u');
        signin($_, { id => $user }) for $a, $b;
        subscribe_to($_, "#server-to-user-$user") for $a, $b;

        $t->nothing('none', $a, $b);
    };


    subtest 'an app that has not asked' => sub {
        my $ws = $t->ws_of('other-key');

        subscribe_to($ws, fresh('x'));
        ok($ws->nothing_waits, 'gets none');
    };
}


# Above 100: at most one in 5 s, and the last word is right.

sub many {
    my ($t) = @_;

    my $n = 120;
    my $channel = fresh('many');
    my ($watcher, @ws) = $t->spread($n);

    subscribe_to($watcher, $channel);
    $watcher->{seen} = [];

    my $start = time();

    for my $ws (@ws) {
        $ws->{seen} = [];
        send_subscribe($ws, $channel);
    }

    my $take = sub {
        my ($ws, $f) = @_;

        return if $f->[0] ne TEXT;

        my $e = from_json($f->[1]);

        push @{ $ws->{seen} }, [ time(), $e->{event},
                                 from_text($e->{data})->{subscription_count} ];
    };

    # When all have their answer one leaves and comes back, again and again, until
    # the watcher was told of more than 100 twice; and then of the last change.
    my $leaver = $ws[-1];
    my ($in, $last, @above) = (1, $start);

    read_all(300, [ $watcher, @ws ], $take, sub {
        return 0 if grep { !@{ $_->{seen} } } @ws;

        @above = grep { ($_->[2] || 0) > 100 } @{ $watcher->{seen} };

        if (@above < 2 ? time() - $last > 0.1 : !$in) {
            $last = time();
            $in ? $leaver->unsubscribe($channel)
                : send_subscribe($leaver, $channel);
            $in = !$in;
            return 0;
        }

        return @above >= 2 && $above[-1][2] == $n;
    });

    my @seen = grep { $_->[1] =~ /subscription_count$/ }
               @{ $watcher->{seen} };

    is($seen[-1][2], $n, "the last word: $n");
    cmp_ok(scalar @above, '>=', 2, 'they do come above 100');

    # Seconds since the start.  The first comes 5 s after one of 100 or less,
    # which is behind the start; what is seen late on a busy machine makes none
    # of the others come too early.
    my @times = map { $_->[0] - $start } @above;

    is(join(' ', grep { $times[$_] < 4.9 * ($_ + 1) } 0 .. $#times), '',
       'P61: at most one in 5 s above 100')
        or diag(join ' ', map { sprintf '%.2f', $_ } @times);
    cmp_ok(scalar(grep { $_->[2] <= 100 } @seen), '<=', 100,
           'below, at most one for each change');

    my @succeeded = grep { ($_->{seen}[0][1] || '')
                           ne 'pusher_internal:subscription_succeeded' } @ws;
    is(scalar @succeeded, 0, 'P60: subscription_succeeded is first for all');

    # down to 100 again: each change is told
    $_->{frames} = [] for @ws;
    $watcher->{frames} = [];
    $ws[$_]->unsubscribe($channel) for 0 .. 29;
    my $count = 0;

    while ($count != $n - 30) {
        my $e = $watcher->next_event(60);

        last unless defined $e->{event};
        $count = from_text($e->{data})->{subscription_count};
    }

    is($count, $n - 30, 'down to ' . ($n - 30));

    # it may have counts to read from before it had left
    my $e;

    send_subscribe($ws[0], $channel);

    do { $e = $ws[0]->next_event }
        while ($e->{event} || '') eq 'pusher_internal:subscription_count';

    is($e->{event}, 'pusher_internal:subscription_succeeded', 'one is back');
    is_count($watcher, $channel, $n - 29, 'each change is told again');

    # nothing has changed: nothing is sent
    $t->nothing('no change, no count', $watcher);
}


for my $workers (1, 4) {
    my $t = Chat::Pusher->new(workers => $workers,
                              app => 'subscription_count on;');

    subtest "$workers workers" => sub { tests($t) };
    subtest "P61: above 100, $workers workers" => sub { many($t) }
        if $workers == 4;
    $t->finish;
}

done_testing();
