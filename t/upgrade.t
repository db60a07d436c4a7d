# Upgrade on the fly (USR2, WINCH, QUIT): what holds and what does not.
#
# The new master has a zone of its own.  It holds: no POST fails, ids go on in
# one order, history has all.  It does not: while both are there, an event
# goes to the subscribers of that nginx which took the request.  When the old
# workers leave, their clients are told 4200 and find the rest in history.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server;
use Chat::Upgrade qw(cannot start_daemon upgrade ws_on http_on old_ends
                     new_ends);

my $missing = cannot();

plan skip_all => $missing if $missing;

my $server = Chat::Server->new(workers => 2,
                               server => 'add_header X-Worker $pid always;');

start_daemon($server);

my $port = $server->port;
my @ids;


sub hearer_on {
    my $ws = ws_on($port, @_);

    $ws->subscribe('chat');

    return $ws;
}


sub post {
    my ($http, $text) = @_;

    my $res = $http->post('/messages', { content => $text });

    is($res->{status}, 201, "POST: $text");
    push @ids, from_json($res->{body})->{id};

    return $ids[-1];
}


sub hears {
    my ($ws, $id, $name) = @_;

    is(from_json($ws->next_event->{data})->{id}, $id, $name);
}


my $old_master = $server->master_pid;
my @old = $server->worker_pids;
my $old_ws = hearer_on(@old);

hears($old_ws, post(http_on($port, @old), 'before'), 'a subscriber hears');

my ($new_master, @new) = upgrade($server);
my $new_ws = hearer_on(@new);

# both serve
my $to_old = post(http_on($port, @old), 'to the old');
my $to_new = post(http_on($port, @new), 'to the new');

hears($old_ws, $to_old, "the old one's subscriber hears the old one");
hears($new_ws, $to_new, "the new one's subscriber hears the new one");
ok($old_ws->nothing_waits, 'and not the other one');
ok($new_ws->nothing_waits, 'nor the other way round');

is(join(' ', map { $_->{id} } @{ Chat::HTTP->new(port => $port)
                                 ->history('/messages') }), "@ids",
   'history has all, from either');

# the old workers leave
my $http = http_on($port, @new);

kill 'WINCH', $old_master;

my $e = $old_ws->next_event(20);
$e = $old_ws->next_event(5) if ($e->{event} || '') eq 'pusher:error';
is($e->{close}, 4200, "the old one's subscriber is told 4200");
$old_ws->send_close(4200);

is(join(' ', map { $_->{id} } @{ from_json($http->get(
       "/messages?after=$to_old")->{body}) }), $to_new,
   'and finds in history what it has missed');

old_ends($server, $new_master);

hears($new_ws, post($http, 'after'), 'the new one goes on');

my ($res) = map { $_->get('/chat_status') } $http;

is(from_json($res->{body})->{workers}, 2, 'with its two workers');

new_ends($server);

done_testing();
