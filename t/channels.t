# GET /channels where there are a great many: the list is complete, whoever
# asks for something else meanwhile is answered before it is, and it comes
# though its worker leaves.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::HTTP qw(from_json);
use Chat::Server qw(slurp wait_for);
use Chat::WebSocket;

use constant CHANNELS => 5000;

my $server = Chat::Server->new(
    workers   => 1,
    app       => 'channels_per_connection 0;',
    http      => 'log_format what "$status $uri";',
    locations => <<'END',
        access_log logs/access.log what;

        location /app/  { chat_websocket; }
        location /apps/ { chat_api; }
        location = /none { return 204; }
END
)->start;

my $log = $server->dir . '/logs/access.log';
my $api = Chat::API->new(port => $server->port);
my $http = Chat::HTTP->new(port => $server->port);
my $ws = Chat::WebSocket->established(port => $server->port);
my ($pid) = $server->worker_pids;

my @names = map { sprintf 'c-%04d', $_ } 0 .. CHANNELS - 1;
my $list = '/apps/' . Chat::Server::APP_ID . '/channels';


# Each answer is read before the next commands, so that no buffer is full.

for my $name (@names) {
    $ws->send_event({ event => 'pusher:subscribe',
                      data => { channel => $name } });
    $ws->next_event;
}

my $res = $api->get('channels');

is($res->{status}, 200, 'a list');
is_deeply(from_json($res->{body}), { channels => { map { $_ => {} } @names } },
          'of all channels');
is(() = $res->{body} =~ /"c-/g, CHANNELS, 'each of them once');

$res = $api->get('channels', [ info => 'subscription_count',
                               filter_by_prefix => 'c-00' ]);
is_deeply(from_json($res->{body}),
          { channels => { map { $_ => { subscription_count => 1 } }
                          @names[0 .. 99] } }, 'with a prefix and counts');

$res = $api->get('channels', [ filter_by_prefix => 'none' ]);
is($res->{body}, '{"channels":{}}', 'none');


# What comes meanwhile is there, too, when the worker goes on, behind this.

sub ask_stopped {
    my ($api, $then) = @_;

    Chat::Server::stop_worker($pid);
    $api->http->send_raw($api->request_bytes('GET', 'channels'));
    $then->();
    kill 'CONT', $pid;
}


sub lines { return split /\n/, slurp($log) }


# the lines of the requests before may still be under way

$http->get('/none');
ok(wait_for(10, sub { ((lines())[-1] || '') eq '204 /none' }),
   'a line for each request');

my $before = lines() - 1;

ask_stopped($api, sub {
    $http->send_raw(Chat::HTTP->format_request('GET', '/none'));
});
is($http->read_response('GET')->{status}, 204, 'another client is answered');
$res = $api->http->read_response('GET');
is(scalar keys %{ from_json($res->{body})->{channels} }, CHANNELS,
   'and the list comes');
is(join(' ', (lines())[-2, -1]), "204 /none 200 $list",
   'the other one first, though it came later');

# a client that leaves in between

ask_stopped($api, sub { });
$api->http->close;
ok(wait_for(10, sub { (lines())[-1] =~ m{^\d+ $list$} && lines() > $before + 3 }),
   'its request ends, too');
$api->http->connect;
is($api->get('channels')->{status}, 200, 'others get theirs');
is(join(' ', $server->worker_pids), $pid, 'of the same worker');

# a worker that leaves; of connections that had a request nginx would close this

my $new = Chat::API->new(port => $server->port);

$http->get('/none');
$server->expect_death($pid);
ask_stopped($new, sub { kill 'QUIT', $pid });
$res = $new->http->read_response('GET');
is($res->{status}, 200, 'a worker that leaves answers');

# it sends its WebSocket away at that time, and what is gone is not in the list
cmp_ok(scalar keys %{ from_json($res->{body})->{channels} }, '>', 0,
       'with what is there');
ok(wait_for(20, sub { !Chat::Server::is_alive($pid) }), 'it has left');

$server->finish;

done_testing();
