# A client that closes its half of the connection behind its request waits for
# the answer, and gets it, whenever that close is seen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP qw(from_json json_bytes);
use Chat::Locker;
use Chat::Server qw(wait_for);

use constant { MESSAGES => 1000, SIZE => 10_000 };

my $server = Chat::Server->new(
    workers => 1,
    tls     => 1,
    main    => 'thread_pool default threads=1;',
)->start;
my $http = Chat::HTTP->new(port => $server->port);
my $json = { 'Content-Type' => 'application/json' };
my $n = 0;


sub store { return from_json($http->get('/chat_status')->{body})->{store} }


# What was sent before is seen when this is answered.

sub seen { store() for 1 .. 2 }


sub client {
    my ($tls) = @_;

    return Chat::HTTP->new(port => $tls ? $server->tls_port : $server->port,
                           tls => $tls, timeout => 30);
}


sub half_close { shutdown($_[0]->socket, 1) or die "shutdown: $!" }


is($http->post('/messages', { content => 'x' x SIZE })->{status}, 201,
   'a message');
$server->multiply_message(MESSAGES);


my @requests = (
    [ 'GET', '/messages?limit=1', 200 ],
    [ 'GET', '/messages?limit=1000', 200 ],
    [ 'HEAD', '/messages?limit=1000', 200 ],
    [ 'POST', '/messages', 201 ],
);


sub bytes {
    my ($method, $path) = @_;

    return Chat::HTTP->format_request($method, $path, $json,
        $method eq 'POST' ? json_bytes({ content => 'n' . ++$n }) : undef);
}


for my $tls (0, 1) {
    my $over = $tls ? ' over TLS' : '';

    for my $request (@requests) {
        my ($method, $path, $status) = @$request;
        my $name = "$method $path$over";

        # the close comes with the request
        my $client = client($tls);

        $client->send_raw(bytes($method, $path));
        half_close($client);
        is($client->read_response($method)->{status}, $status,
           "$name: closed at once");

        # the close comes while the request waits
        my $locker = Chat::Locker->new($server->database);
        my $post = client(0);

        $locker->lock;
        $post->send_raw(bytes('POST', '/messages'));
        wait_for(10, sub { store()->{queued} == 1 }) or die;

        $client = client($tls);
        $client->send_raw(bytes($method, $path));
        seen();
        half_close($client);
        seen();
        $locker->unlock;
        is($client->read_response($method)->{status}, $status,
           "$name: closed while it waits");
        is($post->read_response('POST')->{status}, 201, 'the lock is free');
        $locker->finish;
    }

    # the close comes while the answer is written, and more of it than the
    # kernel takes is still to come
    my $client = client($tls);
    my $path = '/messages?limit=1000';
    my $page = $http->get($path)->{body};

    $client->send_raw(bytes('GET', $path) . bytes('POST', '/messages'));
    $client->fill(time() + 30);
    half_close($client);
    seen();

    my $res = $client->read_response('GET');

    is($res->{status}, 200, "a page that is being read$over");
    is($res->{body}, $page, "is whole$over");
    is($client->read_response('POST')->{status}, 201,
       "and what is pipelined behind it is answered, too$over");
}


$server->finish;

done_testing();
