# Cache channels (P52-P57).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes qw(time);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::HTTP qw(from_text);
use Chat::Pusher qw(send_subscribe subscribe_to member is_event client_event
                    events_of);
use Chat::Server qw(wait_for);

my $serial = 0;
my @prefixes = ('cache-', 'private-cache-', 'private-encrypted-cache-',
                'presence-cache-');


sub fresh { return shift() . ++$serial }


# Subscribes, as a member where that is wanted, and returns what follows
# subscription_succeeded: the next event.

sub enter {
    my ($ws, $channel, %o) = @_;

    $o{data} = member($o{user} || 'u' . $ws->socket_id)
        if $channel =~ /^presence-/;
    subscribe_to($ws, $channel, %o);

    return $ws->next_event;
}


# Without what member_added has to say.

sub others {
    return grep { $_->{event} !~ /^pusher_internal:member_/ } @_;
}


sub next_other {
    my ($ws) = @_;

    while (1) {
        my $e = $ws->next_event;
        return $e if ($e->{event} || '') !~ /^pusher_internal:member_/;
    }
}


sub is_miss {
    my ($e, $channel, $name) = @_;

    is_event($e, 'pusher:cache_miss', $channel, '{}', "$name: cache_miss");
}


sub rules {
    my ($t, $prefix) = @_;

    my ($a, $b, $c, $d) = $t->spread(4);
    my $channel = fresh($prefix);

    is_miss(enter($a, $channel), $channel, 'P52: an empty channel');
    is_miss(enter($b, $channel), $channel, 'P52: another subscriber, too');

    my $one = $t->publish($channel, 'one', event => 'first');

    is_event(next_other($_), 'first', $channel, $one, 'an event') for $a, $b;
    is_event(enter($c, $channel), 'first', $channel, $one,
             'P53: a new subscriber gets it');

    my $two = $t->publish($channel, "\x{1f600}\x{2028}\"\\\0",
                          event => 'second');

    is_event(next_other($_), 'second', $channel, $two, 'the next')
        for $a, $b, $c;
    is_event(enter($d, $channel), 'second', $channel, $two,
             'P53: the last one only');
    is(scalar(others(map { @$_ } $t->fence($a, $b, $c, $d))), 0,
       'P53: once');

    # vacated
    $_->unsubscribe($channel) for $a, $b, $c, $d;
    $t->fence($a, $b, $c, $d);

    is_event(enter($a, $channel), 'second', $channel, $two,
             'P55: it survives the channel');
    is_event(enter($b, $channel), 'second', $channel, $two, 'for all');

    # the sender left out
    my $three = $t->publish($channel, 'three', socket_id => $a->socket_id);

    is_event(next_other($b), 'news', $channel, $three, 'another gets it');
    is(scalar(others(map { @$_ } $t->fence($a))), 0, 'the sender does not');
    $a->unsubscribe($channel);
    is_event(enter($a, $channel), 'news', $channel, $three,
             '3.6: and yet it is cached');

    $_->unsubscribe($channel) for $a, $b;

    # nobody there
    my $empty = fresh($prefix);
    my $four = $t->publish($empty, 'four');

    is_event(enter($c, $empty), 'news', $empty, $four,
             'P54: publishing to nobody fills the cache');
    events_of($_) for $a, $b;

    # members and client events
    my $quiet = fresh($prefix);
    is_miss(enter($a, $quiet), $quiet, 'empty');
    is_miss(enter($b, $quiet), $quiet, 'P56: members do not fill it');

    if ($prefix ne 'cache-') {
        client_event($a, $quiet, 'client-x', 'x');
        is(next_other($b)->{event}, 'client-x', 'a client event');
        is_miss(enter($c, $quiet), $quiet, 'P56: nor do client events');
        $c->unsubscribe($quiet);

        my $five = $t->publish($quiet, 'five');
        is_event(next_other($b), 'news', $quiet, $five, 'an event');
        client_event($a, $quiet, 'client-y', 'y');
        is(next_other($b)->{event}, 'client-y', 'a client event after it');
        is_event(enter($d, $quiet), 'news', $quiet, $five,
                 'P56: does not change it');
    }

    my $long = $t->publish($quiet, 'x' x 10000);
    is_event(enter($t->ws, $quiet), 'news', $quiet, $long, '10,000 bytes');
}


sub tests {
    my ($t) = @_;

    subtest "P52-P56 P57: $_" => sub { rules($t, $_) } for @prefixes;


    subtest 'P29: what is no cache channel' => sub {
        my $ws = $t->ws;

        for my $channel ('my-cache-x', 'cachefoo', 'Cache-x',
                         'private-cachefoo', 'private-x-cache-y',
                         'private-encrypted-x', 'cache')
        {
            $t->publish($channel, 'x');
            subscribe_to($ws, $channel);
            $t->nothing($channel, $ws);
        }
    };


    subtest 'cached, then live' => sub {
        my ($ws) = $t->spread(1);
        my $channel = fresh('cache-');

        # joins while another publishes
        my $pid = fork();
        die "fork: $!" unless defined $pid;

        if ($pid == 0) {
            my $http = Chat::HTTP->new(port => $t->port);

            for my $n (1 .. 300) {
                $http->post('/publish', { content => "$n" },
                            { 'X-Channel' => $channel, 'X-Event' => 'n' });
            }

            POSIX::_exit(0);
        }

        my ($bad, $joins, $last) = ('', 0, 0);

        while (!$bad && $last < 300) {
            my $e = enter($ws, $channel);
            my $n;

            $joins++;

            if ($e->{event} eq 'pusher:cache_miss') {
                $bad = 'a miss after an event' if $last;
                $n = 0;
            } else {
                $n = from_text($e->{data})->{content};
                $bad = "$n after $last" if $n < $last;
            }

            # some live ones: none missing, none twice
            for (1 .. 5) {
                last if $n == 300 || $bad;
                my $m = from_text($ws->next_event->{data})->{content};
                $bad = "$m behind $n" if $m != $n + 1;
                $n = $m;
            }

            $last = $n;
            $ws->unsubscribe($channel);

            # what was under way before that
            for my $e (events_of($ws)) {
                my $m = from_text($e->{data})->{content};
                $bad ||= "$m behind $last" if $m != $last + 1;
                $last = $m;
            }
        }

        waitpid $pid, 0;
        is($bad, '', "no gap, no duplicate in $joins joins");
        cmp_ok($joins, '>', 3, 'several joins') or diag($joins);
    };


    subtest 'P55: cache_ttl' => sub {
        my $ws = $t->ws_of('brief');
        my $channel = fresh('cache-');
        my $start = time();
        my $data = $t->publish($channel, 'brief', path => '/brief');

        is_event(enter($ws, $channel), 'news', $channel, $data, 'at first');

        my $e;

        # six times what it has
        ok(wait_for(60, sub {
            $ws->unsubscribe($channel);
            $e = enter($ws, $channel);
            return $e->{event} eq 'pusher:cache_miss';
        }), 'it expires');
        is_miss($e, $channel, 'expired');
        # "up to" so long (3.6): it is counted in whole seconds
        cmp_ok(time() - $start, '>=', 9, 'not much before its time');

        $data = $t->publish($channel, 'again', path => '/brief');
        is_event($ws->next_event, 'news', $channel, $data, 'a live one');
        is_event(enter($t->ws_of('brief'), $channel), 'news', $channel, $data,
                 'is cached again');
    };


    subtest 'apps are apart' => sub {
        my $channel = fresh('cache-');

        $t->publish($channel, 'ours');
        is_miss(enter($t->ws_of('other-key'), $channel), $channel, 'theirs');
    };
}


# The oldest go first, and only they; the newest are always there.

sub full {
    my ($t) = @_;

    my $ws = $t->ws;
    my $n = 400;
    my %data;

    for my $i (1 .. $n) {
        my $res = $t->http->post('/publish', { content => 'x' x 7000 . $i },
                                 { 'X-Channel' => "cache-$i",
                                   'X-Event' => 'e' });

        die "publish: $res->{status} $res->{body}" if $res->{status} != 201;
        $data{$i} = $res->{text};
    }

    my (@there, @wrong);

    for my $i (1 .. $n) {
        my $e = enter($ws, "cache-$i");

        $ws->unsubscribe("cache-$i");
        next if $e->{event} eq 'pusher:cache_miss';
        push @there, $i;
        push @wrong, $i if $e->{data} ne $data{$i};
    }

    is("@wrong", '', 'what is there is right');
    cmp_ok(scalar @there, '<', $n, 'not all are there: ' . @there);
    cmp_ok(scalar @there, '>', 20, 'some are');
    is("@there", join(' ', $n - @there + 1 .. $n), 'the last ones');

    my $st = $t->status;
    cmp_ok($st->{zone_used_bytes}, '<', $st->{zone_size_bytes},
           'there is room for others');
    is(subscribe_to($ws, 'private-x')->{channel}, 'private-x',
       'who can still subscribe');
}


for my $workers (1, 4) {
    my $t = Chat::Pusher->new(workers => $workers, app => 'client_events on;',
                              apps => <<'END', more => <<'END2');
    chat_app 3 { key brief; secret secret-3; cache_ttl 10s; }
END
        location = /brief {
            chat_publish  $http_x_channel $http_x_event app=3;
        }
END2

    subtest "$workers workers" => sub { tests($t) };

    my $data = $t->publish('cache-reload', 'kept');
    my $server = $t->server;

    $server->reload;
    is_event(enter($t->ws, 'cache-reload'), 'news', 'cache-reload', $data,
             'promise 7: a reload keeps the cache');
    ok(wait_for(10, sub { $server->all_worker_pids == $workers }),
       'the old workers leave');
    $t->finish;
}

{
    my $t = Chat::Pusher->new(workers => 2, zone => '2m');

    subtest 'a full cache' => sub { full($t) };
    $t->finish;
}

done_testing();
