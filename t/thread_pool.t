# A thread pool that takes no more tasks: 503 and Retry-After for what found no
# room, nothing stored of it, and the same workers afterwards.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;

use Chat::HTTP qw(from_json json_bytes);
use Chat::Locker;
use Chat::Server;

use constant CLIENTS => 8;

my $server = Chat::Server->new(
    workers => 1,
    main    => 'thread_pool default threads=1 max_queue=1;',
)->start;

my @http = map { Chat::HTTP->new(port => $server->port) } 1 .. CLIENTS;
my ($pid) = $server->worker_pids;
my $waiting = IO::Select->new;
my @stored;
my $n = 0;


# One request on each connection, all at one time.  Reads answers until no more
# than $left are missing: { status => how many }.

sub together {
    my ($left, @methods) = @_;

    my %status;

    for my $i (0 .. $#methods) {
        $http[$i]->send_raw(Chat::HTTP->format_request($methods[$i],
            '/messages', { 'Content-Type' => 'application/json' },
            $methods[$i] eq 'POST' ? json_bytes({ content => 'n' . ++$n })
                                   : undef));
        $waiting->add([ $http[$i]->socket, $i, $methods[$i] ]);
    }

    while ($waiting->count > $left) {
        my ($ready) = $waiting->can_read(20) or last;
        my (undef, $i, $method) = @$ready;
        my $res = $http[$i]->read_response($method);

        $waiting->remove($ready);
        $status{"$method $res->{status}"}++;
        push @stored, from_json($res->{body})->{id} if $res->{status} == 201;

        next if $res->{status} != 503;
        $status{'no Retry-After'}++
            unless ($res->{headers}{'retry-after'} || '') eq '1';
        $status{'no JSON'}++ unless from_json($res->{body})->{error};
    }

    return \%status;
}


# The one thread waits for the lock, one task waits for the thread.

subtest 'the thread is busy' => sub {
    my $post = Chat::HTTP->new(port => $server->port, timeout => 60);

    is($post->post('/messages', { content => 'before' })->{status}, 201,
       'a first message');

    my $locker = Chat::Locker->new($server->database);

    $locker->lock;
    $post->send_raw(Chat::HTTP->format_request('POST', '/messages',
        { 'Content-Type' => 'application/json' },
        json_bytes({ content => 'waits' })));

    ok(Chat::Server::wait_for(10, sub {
           return from_json($http[0]->get('/chat_status')->{body})
                      ->{store}{queued} == 1;
       }), 'a POST waits for the lock');

    is_deeply(together(1, ('GET') x CLIENTS), { 'GET 503' => CLIENTS - 1 },
              'all GETs but one get 503');

    $locker->unlock;
    is($post->read_response('POST')->{status}, 201,
       'what has the thread is done');
    $locker->finish;

    my ($last) = keys %{ together(0) };

    like($last, qr/^GET (?:200|503)$/, 'and then the last one is answered');

    ok(Chat::Server::wait_for(10, sub {
           return $http[0]->get('/messages')->{status} == 200;
       }), 'there is room again');
    cmp_ok(($server->incident('thread_pool') || {})->{count} || 0, '>=',
           CLIENTS - 1, 'the console tells of it');
};


subtest 'a burst' => sub {
    my %all;

    for (1 .. 100) {
        my $status = together(0, ('GET', 'POST') x (CLIENTS / 2));

        $all{$_} += $status->{$_} for keys %$status;
    }

    cmp_ok(delete $all{'GET 503'} || 0, '>', 0, 'some GETs find no room');
    cmp_ok(delete $all{'GET 200'} || 0, '>', 0, 'some are answered');
    cmp_ok(delete $all{'POST 201'} || 0, '>', 0, 'some POSTs, too');
    delete $all{'POST 503'};
    is_deeply(\%all, {}, 'there is no other answer');

    my $history;

    # pages of one connection, each of which may find no room
    Chat::Server::wait_for(20, sub {
        $history = eval { $http[0]->history('/messages') };
    });

    my @ids = map { $_->{id} } @{ $history || [] };

    is("@ids[2 .. $#ids]", join(' ', sort { $a <=> $b } @stored),
       'history is what got a 201');
};


is(join(' ', $server->worker_pids), $pid, 'the worker is the same');

$server->finish;

done_testing();
