# Bursts: what comes to a worker all at once is no fault of its subscribers.
# A worker that was held up for a moment, and a queue of messages that was,
# reach all who read, in order; none is taken for slow, nothing is overrun.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP qw(from_json json_bytes);
use Chat::Locker;
use Chat::Server qw(stop_worker wait_for slurp);
use Chat::WebSocket qw(TEXT read_all);


# Subscribers, as many on each of the two workers.

sub subscribers {
    my ($server, $each) = @_;

    my (%by_worker, @all);

    for (1 .. 100 * $each) {
        my $ws = Chat::WebSocket->established(port => $server->port);
        my $list = $by_worker{ $ws->header('X-Worker') } ||= [];

        next if @$list >= $each;

        $ws->subscribe('chat');
        $ws->{got} = [];
        push @$list, $ws;
        push @all, $ws;
        last if @all == 2 * $each;
    }

    is(join(' ', map { scalar @$_ } values %by_worker), "$each $each",
       "$each subscribers on each worker");

    return (\%by_worker, @all);
}


# For read_all(): the ids of messages, and whatever else comes as an end.

sub take {
    my ($ws, $f) = @_;

    my ($id) = $f->[0] eq TEXT
               ? $f->[1] =~ /"data":"\{\\"id\\":(\d+),/ : ();

    if (defined $id) {
        push @{ $ws->{got} }, $id;
        return;
    }

    $ws->{end} ||= $f->[0] eq 'eof' ? 'end of the connection'
                                    : "frame $f->[0]: " . ($f->[1] || '');
}


sub read_until {
    my ($n, @all) = @_;

    return read_all(20, \@all, \&take, sub {
        return !grep { !$_->{end} && @{ $_->{got} } < $n } @all;
    });
}


sub all_is_well {
    my ($server, $ids, @all) = @_;

    my $status = from_json(Chat::HTTP->new(port => $server->port)
                               ->get('/chat_status')->{body});
    my %ends;

    $ends{ $_->{end} }++ for grep { $_->{end} } @all;

    is(join(', ', map { "$ends{$_} x $_" } sort keys %ends), '',
       'nothing but messages came, none was closed');
    is(scalar(grep { "@{ $_->{got} }" eq "@$ids" } @all), scalar @all,
       'each subscriber has all messages, in order');
    is(scalar(grep { $_->{end} || !$_->nothing_waits } @all), 0,
       'and nothing more');
    is($status->{slow_subscribers_closed}, 0, 'none was taken for slow');
    is($status->{overruns}, 0, 'nothing was overrun');
    is($status->{connections}, scalar @all, 'all are connected');
}


subtest 'a worker that was stopped' => sub {
    my ($messages, $size) = (150, 10_000);      # more than chat_send_buffer
    my $server = Chat::Server->new(workers => 2, listen => 'reuseport',
        server => 'add_header X-Worker $pid always;')->start;
    my ($by_worker, @all) = subscribers($server, 10);
    my ($stopped, $running) = sort keys %$by_worker;
    my ($http, @ids);

    ok(wait_for(10, sub {
           $http = Chat::HTTP->new(port => $server->port);
           $http->get('/chat_status')->{headers}{'x-worker'} == $running;
       }), 'a connection to the one that runs on');

    # asleep, so that it has no lock that others wait for

    wait_for(10, sub {
        return !grep { slurp($_) !~ /\) S / }
                glob("/proc/$stopped/task/*/stat");
    }) or die 'the worker does not come to rest';

    stop_worker($stopped);

    for my $n (1 .. $messages) {
        my $res = $http->post('/messages', { content => 'x' x $size });

        push @ids, $res->{body} =~ /^\{"id":(\d+),/
            if $res->{status} == 201;
        read_until($n, @{ $by_worker->{$running} });
    }

    is(scalar @ids, $messages, "$messages messages are posted meanwhile");
    is(scalar(grep { "@{ $_->{got} }" eq "@ids" }
                   @{ $by_worker->{$running} }), 10,
       "the other worker's subscribers have them already");
    is(scalar(grep { @{ $_->{got} } } @{ $by_worker->{$stopped} }), 0,
       "the stopped one's have none");

    kill 'CONT', $stopped;

    ok(read_until($messages, @all), 'then they get them, too');
    all_is_well($server, \@ids, @all);
    $server->finish;
};


# The bytes that the kernel has of a server's clients and nginx has not read.

sub unread {
    my ($port) = @_;

    my $bytes = 0;
    my $local = sprintf '0100007F:%04X', $port;

    for my $line (split /\n/, slurp('/proc/net/tcp')) {
        my (undef, $address, undef, $state, $queues) = split ' ', $line;

        $bytes += hex((split /:/, $queues)[1])
            if $address eq $local && $state eq '01';
    }

    return $bytes;
}


# Posts at a time while the database is locked, and releases them together;
# several times, since it is chance how the workers take turns.

sub released_at_once {
    my ($rounds, $zone, $messages, $size) = @_;

    my $server = Chat::Server->new(workers => 2, listen => 'reuseport',
        zone => $zone, server => 'add_header X-Worker $pid always;')->start;
    my (undef, @all) = subscribers($server, 20);

    # the database's file is there once a message is
    my $res = Chat::HTTP->new(port => $server->port)
                  ->post('/messages', { content => 'first' });

    is($res->{status}, 201, 'a first message');

    my @ids = from_json($res->{body})->{id};
    my $locker = Chat::Locker->new($server->database);

    for my $round (1 .. $rounds) {
        my @posts = map {
            Chat::HTTP->new(port => $server->port, timeout => 30);
        } 1 .. $messages;

        $locker->lock;

        $_->send_raw(Chat::HTTP->format_request('POST', '/messages',
            { 'Content-Type' => 'application/json' },
            json_bytes({ content => 'x' x $size }))) for @posts;

        ok(wait_for(5, sub { unread($server->port) == 0 }),
           "round $round: nginx has $messages POSTs of $size bytes");

        $locker->unlock;

        ok(read_until(@ids + $messages, @all), 'all that came in time');

        my (%count, @new);

        for my $post (@posts) {
            my $res = $post->read_response('POST');

            $count{ $res->{status} }++;
            push @new, $res->{body} =~ /^\{"id":(\d+),/;
        }

        is(join(', ', map { "$count{$_} x $_" } sort keys %count),
           "$messages x 201", 'all are stored');
        push @ids, sort { $a <=> $b } @new;
    }

    all_is_well($server, \@ids, @all);
    is($locker->finish, 0, 'sqlite3 ended well');
    $server->finish;
}


subtest 'queues, each four times the bus' => sub {
    released_at_once(5, '1m', 200, 9000);
};


subtest 'a queue of many small messages' => sub {
    released_at_once(1, '1m', 400, 100);
};


done_testing();
