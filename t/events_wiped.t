# chat_events: a worker dies with the lock of shared memory, so that is wiped.
# All streams end, and clients that come back are told the truth.
#
# Where the worker dies is chosen by a failpoint, see t/heal.t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Events;
use Chat::Failpoints qw(arm prepare);
use Chat::HTTP qw(from_text json_bytes);
use Chat::Pusher;
use Chat::Server qw(wait_for);

prepare();

my $t = Chat::Pusher->new(workers => 2,
                          more => "location /events/ { chat_events; }\n");
my $server = $t->server;
my $port = $t->port;
my @pids = $server->worker_pids;


sub client { return Chat::Events->open(port => $port, channels => 'chat', @_) }


my @clients = map { client() } 1 .. 8;
my $data = $t->publish('chat', 'seen');

is($_->event->{data}, $data, 'an event') for @clients;

# who stores the next message is to die in the midst of the append
$server->expect_killed($_, 9) for @pids;

arm('publish', 1);

my $http = Chat::HTTP->new(port => $port);
$http->send_raw($http->format_request('POST', '/publish',
    { 'Content-Type' => 'application/json', 'X-Channel' => 'chat',
      'X-Event' => 'news' }, json_bytes({ content => 'in between' })));

for my $c (@clients) {
    while (my $e = $c->event(20)) {
        last if $e->{end};
    }

    like($c->{ended}, qr/^(?:well|cut)$/, 'a stream ends');
}

ok(wait_for(10, sub { $server->error_log =~ /shared memory was wiped/ }),
   'shared memory is wiped');
ok(wait_for(10, sub {
       2 == grep { Chat::Server::is_alive($_) } $server->worker_pids;
   }), 'there are as many workers as before');

$server->{workers_seen} = [ $server->worker_pids ];
$t->{http} = Chat::HTTP->new(port => $port);

my @back = map { client(id => $_->id) } @clients;

for my $c (@back) {
    my $e = $c->block;

    is($e->{event}, 'recovery', 'S6: who comes back is told');
    is_deeply(from_text($e->{data}), { recovered => JSON::PP::false },
              'S6: the truth');
}

$data = $t->publish('chat', 'afterwards');
is($_->event->{data}, $data, 'S6: from now on') for @back;

my $again = client(id => $back[0]->id);
$data = $t->publish('chat', 'at last');
is($again->event->{data}, $data, 'S6: its new position is a good one');

$_->close for @back, $again;
$t->finish;
done_testing;
