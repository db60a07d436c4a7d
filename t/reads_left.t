# Reads whose client has left cost nothing: neither the place in the queue nor
# the work.  POSTs are stored all the same.  What waits is seen to have gone
# while the only thread of the pool waits for the database's lock.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;

use Chat::HTTP qw(from_json json_bytes);
use Chat::HTTP2;
use Chat::Locker;
use Chat::Server qw(wait_for);

# more than a worker lets wait
use constant READS => 1500;

my $server = Chat::Server->new(
    workers     => 1,
    tls         => 1,
    connections => 4096,
    main        => 'thread_pool default threads=1;',
    http        => 'http2_max_concurrent_streams 10000;',
    h2c         => 1,
)->start;
my $http = Chat::HTTP->new(port => $server->port, timeout => 60);
my ($pid) = $server->worker_pids;
my $json = { 'content-type' => 'application/json' };


sub store { return from_json($http->get('/chat_status')->{body})->{store} }


# Somebody holds the lock, and a POST has the thread.

sub busy {
    my $locker = Chat::Locker->new($server->database);
    my $post = Chat::HTTP->new(port => $server->port, timeout => 60);

    $locker->lock;
    $post->send_raw(Chat::HTTP->format_request('POST', '/messages', $json,
        json_bytes({ content => 'waits' })));
    ok(wait_for(10, sub { store()->{queued} == 1 }), 'a POST waits');

    return ($locker, $post);
}


sub freed {
    my ($locker, $post) = @_;

    $locker->unlock;
    is($post->read_response('POST')->{status}, 201, 'the POST is answered');
    $locker->finish;
}


sub contents {
    return { map { $_->{content} => 1 } @{ $http->history('/messages') } };
}


is($http->post('/messages', { content => 'x' x 10_000 })->{status}, 201,
   'a message') for 1 .. 300;


for my $tls (0, 1) {
    subtest 'streams that are reset' . ($tls ? ', over TLS' : '') => sub {
        my $port = $tls ? $server->tls_port : $server->h2c_port;
        my $h2 = Chat::HTTP2->new(port => $port, tls => $tls);
        my $reads = join '', map {
            my $get = $h2->request('GET', '/messages?limit=300');
            $get . $h2->reset($h2->{last});
        } 1 .. READS;
        my @held = busy();
        my $before = store()->{reads};

        $h2->send($reads);

        # a POST that is reset, too
        $h2->send($h2->request('POST', '/messages', $json,
                               json_bytes({ content => "reset $tls" })));
        ok(wait_for(10, sub { store()->{queued} == 2 }), 'and one more');
        $h2->send($h2->reset($h2->{last}) . $h2->ping);
        ok($h2->read_until(10, sub { $h2->{pongs} }), 'all is reset');

        is(store()->{reads_queued}, 0, 'no read waits any more');

        # behind what was reset, this one would find no room
        my $get = Chat::HTTP->new(port => $server->port, timeout => 60);

        $get->send_raw(Chat::HTTP->format_request('GET', '/messages?limit=1'));
        freed(@held);

        is($get->read_response('GET')->{status}, 200,
           "another one's read is answered");
        cmp_ok(store()->{reads} - $before, '<=', 1, 'and no other was done');
        ok(contents()->{"reset $tls"}, 'the message that was posted is there');
    };
}


subtest 'connections that are reset' => sub {
    my @held = busy();
    my $before = store()->{reads};
    my @gone = map {
        Chat::HTTP->new(port => $_ % 10 ? $server->port : $server->tls_port,
                        tls  => $_ % 10 ? 0 : 1);
    } 1 .. 200;

    $_->send_raw(Chat::HTTP->format_request('GET', '/messages?limit=300'))
        for @gone;
    push @gone, Chat::HTTP->new(port => $server->port);
    $gone[-1]->send_raw(Chat::HTTP->format_request('POST', '/messages', $json,
        json_bytes({ content => 'a reset connection' })));

    # the pool has some of them, since each reader has a task there
    ok(wait_for(10, sub {
           my $store = store();
           return $store->{queued} == 2 && $store->{reads_queued} > 190;
       }), 'reads wait');

    for (@gone) {
        setsockopt($_->socket, SOL_SOCKET, SO_LINGER, pack 'i i', 1, 0) or die;
        CORE::close($_->socket);
    }

    ok(wait_for(10, sub { store()->{reads_queued} == 0 }),
       'none does any more');
    freed(@held);
    is($http->get('/messages?limit=1')->{status}, 200, 'a read is answered');
    cmp_ok(store()->{reads} - $before, '<=', 1, 'and no other was done');
    ok(contents()->{'a reset connection'},
       'the message that was posted is there');
};


# Those that a thread has begun with are cut short; how, is shown by
# t/unit/store/history_test.c.

subtest 'pages that are being read' => sub {
    my $h2 = Chat::HTTP2->new(port => $server->h2c_port);
    my $before = store()->{reads};
    my $all = join '', map {
        my $get = $h2->request('GET', '/messages?limit=300');
        $get . $h2->reset($h2->{last});
    } 1 .. 400;

    $h2->send($all . $h2->ping);
    ok($h2->read_until(10, sub { $h2->{pongs} }), 'all is reset');
    is($http->get('/messages?limit=1')->{status}, 200, 'a read is answered');
    cmp_ok(store()->{reads} - $before, '<', 40, 'few pages were read');
};


is(join(' ', $server->worker_pids), $pid, 'the worker is the same');

$server->finish;

done_testing();
