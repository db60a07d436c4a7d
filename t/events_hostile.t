# chat_events: clients that don't read, and floods.  Others notice nothing, and
# what a worker holds has a bound.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;

use Chat::API;
use Chat::Events qw(path_of);
use Chat::HTTP qw(from_text);
use Chat::HTTP2;
use Chat::Pusher;
use Chat::Server qw(SCALE wait_for APP_ID);
use Chat::Token qw(fresh);

use constant {
    SIZE   => 9000,             # of a message
    COUNT  => 2000,             # messages: 18 MB, several times the ring
    SLOW   => 20,               # clients that don't read
    # a worker's memory may grow so much; ASan keeps back what is freed, 256 MB
    SLACK  => ($ENV{CHAT_ASAN} ? 300 : 8) * 1024 * 1024,
    FLOOD  => $ENV{CHAT_WHOLE} ? 2000 : 300,
};

my $t = Chat::Pusher->new(
    workers => 1,
    h2c     => 1,
    listen  => 'sndbuf=32k',
    more    => <<'END');
        location /apps/   { chat_api; }
        location /events/ { chat_events; }
        location = /history { chat_history $arg_channel app=17536051; }
END
my $port = $t->port;
my $server = $t->server;
my ($worker) = $server->worker_pids;
my $long = fresh('long-');      # a channel with 20 MB of messages


sub client { return Chat::Events->open(port => $port, @_) }


# Publishes without a test for each.

sub post {
    my ($channel, $content) = @_;

    my $res = $t->http->post('/publish', { content => $content },
                             { 'X-Channel' => $channel, 'X-Event' => 'news' });

    die "POST: $res->{status}" unless $res->{status} == 201;
}


subtest 'clients that do not read' => sub {
    my $channel = $long;
    my $quick = client(channels => $channel);

    for (1 .. 200) {
        post($channel, "warm $_ " . 'x' x SIZE);
        $quick->event;
    }

    my $memory = $server->worker_memory($worker);
    my @slow = map {
        my $c = client(channels => $channel);
        setsockopt($c->socket, SOL_SOCKET, SO_RCVBUF, pack 'i', 4096);
        $c;
    } 1 .. SLOW;
    my $most = 0;
    my $wrong = 0;

    for my $n (1 .. COUNT) {
        post($channel, "$n " . 'x' x SIZE);

        my $e = $quick->event;
        $wrong++ if ($e->{data} || '') !~ /"content":"$n x/;

        my $grown = $server->worker_memory($worker) - $memory;
        $most = $grown if $grown > $most;
    }

    is($wrong, 0, 'another client gets all, in order');
    cmp_ok($most, '<', SLACK * SCALE, 'memory: a piece for each');
    for my $c (@slow[0, 1]) {
        my ($n, $first, $last);

        # What they can still read has no gap, and ends well.  A window that was
        # shut may be tried only now and then: TCP's pause grows as it lasts.
        while (my $e = $c->event(120)) {
            last if $e->{end};

            ($n) = $e->{data} =~ /"content":"(\d+) x/;
            $first //= $n;
            $wrong++ if defined $last && $n != $last + 1;
            $last = $n;
        }

        is($first, 1, 'from the first on');
        is($wrong, 0, 'without a gap');
        is($c->{ended}, 'well', 'to an end that is one');
        like($server->error_log, qr/client has read too slowly/, 'logged');

        # 18 MB are more than a client gets from the history at once
        my $back = client(channels => $channel, id => $c->id);
        my $e = $back->block;
        is($e->{event}, 'recovery', 'and back it is told');
        is_deeply(from_text($e->{data}), { recovered => JSON::PP::false },
                  'the truth');
        $back->close;
    }

    $_->close for @slow, $quick;
};


subtest 'clients that do not read a long history' => sub {
    my $memory = $server->worker_memory($worker);
    my @slow;

    for (1 .. 2 * SLOW) {
        my $c = client(channels => $long, id => 'earliest');

        setsockopt($c->socket, SOL_SOCKET, SO_RCVBUF, pack 'i', 4096);
        $c->event;
        push @slow, $c;
    }

    cmp_ok($server->worker_memory($worker) - $memory, '<', SLACK * SCALE,
           'memory: a piece and a short round for each');
    $_->close for @slow;

    # and one that reads has all
    my $c = client(channels => $long, id => 'earliest');
    my $wrong = 0;

    for my $n ((map { "warm $_" } 1 .. 200), 1 .. COUNT) {
        my $e = $c->event;
        $wrong++ if ($e->{data} || '') !~ /"content":"$n x/;
    }

    is($wrong, 0, 'another one gets all, in order');
    $c->close;
};


subtest 'clients that do not read the histories of many channels' => sub {
    my @channels = map { fresh('many-') } 1 .. 40;
    my @all;

    for my $n (1 .. 3) {
        for my $channel ($n % 2 ? @channels : reverse @channels) {
            post($channel, "$channel $n " . 'x' x SIZE);
            push @all, "$channel $n";
        }
    }

    my $path = path_of(join(',', @channels), raw => 1);
    my $memory = $server->worker_memory($worker);
    my @slow = map {
        my $c = client(path => $path, id => 'earliest');
        setsockopt($c->socket, SOL_SOCKET, SO_RCVBUF, pack 'i', 4096);
        $c->event;
        $c;
    } 1 .. 2 * SLOW;

    cmp_ok($server->worker_memory($worker) - $memory, '<', SLACK * SCALE,
           'memory: a piece and a short round for each');
    $_->close for @slow;

    my $c = client(path => $path, id => 'earliest');
    my @got = map { (($c->event || {})->{data} || '') =~ /"content":"(\S+ \d) x/ } @all;

    is_deeply(\@got, \@all, 'another one gets all, in order');
    $c->close;
};


# Each wants a page of each of 100 channels, and is gone before it has them.

subtest 'a flood of clients that want their history' => sub {
    my $all = path_of(join(',', map { "flood-$_" } 1 .. 100),
                      last_event_id => 'earliest', poll => 1);
    my @clients = map { Chat::HTTP->new(port => $port) } 1 .. 1200;
    my $before = $t->status->{connections};

    post("flood-$_", "one") for 1 .. 100;
    $_->send_raw("GET $all HTTP/1.1\r\nHost: x\r\n\r\n") for @clients;

    ok(wait_for(20, sub { $t->status->{connections} > $before + 100 }),
       'they wait');
    is($t->http->get("/history?channel=$long")->{status}, 200,
       'others read theirs');
    $_->close for @clients;

    # whose memory would be taken for that of others
    ok(wait_for(60, sub { $t->status->{connections} <= $before + 1 }),
       'and then they are gone');
};


subtest 'over HTTP/2' => sub {
    my $channel = fresh('chat-');
    my $quick = client(channels => $channel);
    my $h2 = Chat::HTTP2->new(port => $server->h2c_port, window => 1000);
    my $memory = $server->worker_memory($worker);

    $h2->send($h2->request('GET', path_of($channel))) for 1 .. 50;
    ok($h2->read_until(10, sub {
           50 == grep { $_->{body} =~ /^id: /m } values %{$h2->{streams}}
       }), '50 streams');

    my $wrong = 0;

    for my $n (1 .. COUNT / 2) {
        post($channel, "$n " . 'x' x SIZE);
        my $e = $quick->event;
        $wrong++ if ($e->{data} || '') !~ /"content":"$n x/;
    }

    is($wrong, 0, 'another client gets all, in order');
    cmp_ok($server->worker_memory($worker) - $memory, '<', SLACK * SCALE,
           'memory: a piece for each');
    $quick->close;
};


subtest 'far behind' => sub {
    my $channel = fresh('chat-');
    my $c = client(channels => $channel);
    my $id = $c->id;
    my $api = Chat::API->new(port => $port);

    $c->close;

    # more events than are looked up at a time
    for my $i (0 .. 249) {
        my $res = $api->batch([ map { { name => 'n', channel => $channel,
                                        data => "" . ($i * 10 + $_) } } 0 .. 9 ]);
        $res->{status} == 200 or die "batch: $res->{status} $res->{body}";
    }

    my $back = client(channels => $channel, id => $id);
    my @got = map { $back->event->{data} } 1 .. 2500;

    is_deeply(\@got, [ 0 .. 2499 ], 'all of them, from the ring');
    $back->close;
};


subtest 'a flood' => sub {
    my $before = $t->status;
    my $all = join ',', map { "c$_" } 1 .. 100;
    my @clients;

    for my $n (1 .. FLOOD) {
        my $c = Chat::HTTP->new(port => $port);

        $c->send_raw("GET " . path_of($all) . " HTTP/1.1\r\nHost: x\r\n\r\n");

        # some leave before their answer
        if ($n % 3) {
            push @clients, $c;
        } else {
            $c->close;
        }
    }

    my $other = client(channels => 'c7');
    my $data = $t->publish('c7', 'still there');
    is($other->event->{data}, $data, 'another client is served');

    $_->close for $other, @clients;
    ok(wait_for(20, sub {
           my $s = $t->status;
           $s->{connections} == $before->{connections}
               && $s->{subscriptions} == $before->{subscriptions};
       }), 'and nothing is left of them') or diag(explain($t->status));
};


$t->finish;
done_testing;
