# Pages that their clients don't read: what a worker holds of them has a bound,
# on HTTP/1.1 and HTTP/2, with and without TLS, and others get theirs meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;

use Chat::HTTP qw(from_json);
use Chat::HTTP2;
use Chat::Server qw(SCALE wait_for);

use constant {
    MB    => 1024 * 1024,
    PAGE  => 1000,
    COUNT => 100,
};

my $server = Chat::Server->new(
    workers => 1,
    tls     => 1,
    h2c     => 1,
)->start;
my $http = Chat::HTTP->new(port => $server->port);
my ($pid) = $server->worker_pids;


sub store { return from_json($http->get('/chat_status')->{body})->{store} }


# 1,000 messages of 10 KB: a page of 10 MB.

is($http->post('/messages', { content => 'x' x 10_000 })->{status}, 201,
   'a message');
$server->multiply_message(PAGE);

my $page = $http->get('/messages?limit=' . PAGE)->{body};

is(scalar @{ from_json($page) }, PAGE, 'the whole page');
cmp_ok(length $page, '>', 9 * MB, 'of 10 MB');

# what one page at a time takes, with the allocator's own ways
$http->get('/messages?limit=' . PAGE) for 1 .. 8;

my $before = $server->worker_memory($pid);


# Nothing is read any more until somebody takes something.

sub is_bounded {
    my ($name, $waiting, $bytes, $full) = @_;

    my $store;

    ok(wait_for(20, sub {
           $store = store();
           return $waiting->($store);
       }), "$name: what can be read has been read")
        or diag(explain($store));
    cmp_ok($store->{page_bytes}, '<=', $bytes * MB, "$name: bytes of pages");

    # with as much again for pages that have just been written, and what the
    # sanitizers and valgrind keep of what was freed
    my $kept = $ENV{CHAT_ASAN} || $ENV{CHAT_VALGRIND} ? 600 : 0;

    cmp_ok($server->worker_memory($pid) - $before, '<',
           (2 * $bytes + $kept) * MB, "$name: memory");

    my $other = Chat::HTTP->new(port => $server->port);
    my $res = $other->get('/messages?limit=5');

    is($res->{status}, 200, "$name: another client");
    is(scalar @{ from_json($res->{body}) }, 5, "$name: has its page");

    $res = $other->get('/messages?limit=' . PAGE);
    is($res->{status}, 200, "$name: one who wants much");
    $full ? is($res->{body}, $page, "$name: has it")
          : like($res->{headers}{link} || '', qr/rel="prev"/,
                 "$name: is led on by Link");
}


sub all_is_given_back {
    my ($name) = @_;

    ok(wait_for(20, sub {
           my $store = store();
           return !$store->{page_bytes} && !$store->{reads_queued};
       }), "$name: in the end nothing is held");
}


for my $tls (0, 1) {
    my $name = 'HTTP/2' . ($tls ? ' over TLS' : '');

    subtest $name => sub {
        my $port = $tls ? $server->tls_port : $server->h2c_port;
        my $h2 = Chat::HTTP2->new(port => $port, tls => $tls, window => 0);

        $h2->send(join '', map { $h2->request('GET', '/messages?limit='
                                                     . PAGE) } 1 .. COUNT);
        is_bounded($name, sub { $_[0]{reads_queued} == COUNT - 1
                                && $_[0]{page_bytes} < 16 * MB }, 16, 1);

        # those that are read all come, whole
        my @ids = map { $_ * 2 + 1 } 0 .. COUNT - 1;
        my @read = splice @ids, -10;
        my @wrong;

        $h2->send(join('', map { $h2->reset($_) } @ids)
                  . $h2->widen(0, 0x7fffffff - 65535)
                  . join '', map { $h2->widen($_, 0x7fffffff) } @read);

        my $read = $h2->read_until(60, sub {
            my @ended = grep { $_->{end} } values %{ $h2->{streams} };

            for (@ended) {
                push @wrong, $_->{status}
                    unless $_->{status} == 200 && $_->{body} eq $page;
                $_->{end} = 0;
                $_->{body} = '';
                $_->{done} = 1;
            }

            return @read == grep { $_->{done} } values %{ $h2->{streams} };
        });

        ok($read, "$name: pages come when they are read");
        is("@wrong", '', "$name: and each is whole");
        all_is_given_back($name);
    };
}


# Each connection holds one page, and the later ones short ones.

for my $tls (0, 1) {
    my $name = 'HTTP/1.1' . ($tls ? ' over TLS' : '');

    subtest $name => sub {
        my @clients = map {
            my $client = Chat::HTTP->new(
                port => $tls ? $server->tls_port : $server->port,
                tls => $tls);

            setsockopt $client->socket, SOL_SOCKET, SO_RCVBUF, 4096;
            $client->send_raw(Chat::HTTP->format_request('GET',
                '/messages?limit=' . PAGE));
            $client;
        } 1 .. COUNT;
        my $reads = store()->{reads};

        is_bounded($name, sub { $_[0]{reads_queued} == 0
                                && $_[0]{page_bytes} < 80 * MB
                                && $_[0]{page_bytes} > 32 * MB }, 80, 0);

        # the answer has begun for all
        is(join(' ', keys %{{ map {
               $_->fill(time() + 10 * SCALE);
               $_->{buffer} =~ m{^(HTTP/1.1 \d+)} => 1
           } @clients }}), 'HTTP/1.1 200', "$name: all have an answer");

        close $_->{socket} for @clients;
        all_is_given_back($name);
    };
}


# A connection that goes takes along what it holds.

subtest 'connections that are cut' => sub {
    my @all = map {
        my $h2 = Chat::HTTP2->new(port => $server->h2c_port, window => 0);

        $h2->send(join '', map { $h2->request('GET', '/messages?limit='
                                                     . PAGE) } 1 .. 10);
        $h2;
    } 1 .. 10;

    ok(wait_for(20, sub { store()->{page_bytes} > 32 * MB }), 'pages wait');
    close $_->{socket} for @all;
    all_is_given_back('cut');
};


is(join(' ', $server->worker_pids), $pid, 'the worker is the same');
$server->finish;

done_testing();
