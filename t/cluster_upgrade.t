# Upgrade on the fly (USR2, WINCH, QUIT) of a node: while both nginx are there
# they are two nodes with one database.  Clients of either get all events in one
# order, and see each other's members; what t/upgrade.t shows to be lost without
# a cluster is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::Engine;
use Chat::HTTP qw(from_json);
use Chat::Pusher qw(join_presence);
use Chat::Server qw(wait_for);
use Chat::Upgrade qw(cannot start_daemon upgrade ws_on http_on old_ends
                     new_ends);

my $missing = cannot();

plan skip_all => $missing if $missing;

my $engine = Chat::Engine->new;
my $server = Chat::Server->new(workers => 2, locations => <<'END',
        location = /messages {
            chat_history  chat;
            chat_publish  chat new_message;
        }

        location /app/ { chat_websocket; }
        location /apps/ { chat_api; }
        location = /chat_status { chat_status; }
END
    server => 'add_header X-Worker $pid always;',
    http => 'chat_cluster ' . $engine->url . '; chat_drain 1s;');

start_daemon($server);

my $port = $server->port;
my @posted;


sub member_on {
    my ($id, @pids) = @_;

    my $ws = ws_on($port, @pids);

    $ws->subscribe('chat');
    join_presence($ws, 'presence-room', $id);

    return $ws;
}


sub post {
    my ($http, $text) = @_;

    my $res = $http->post('/messages', { content => $text });

    is($res->{status}, 201, "POST: $text");
    push @posted, $text;

    return;
}


# The next messages that a client hears, as texts.

sub heard {
    my ($ws, $n) = @_;

    my @texts;

    while (@texts < $n) {
        my $e = $ws->next_event(10);

        return "@texts, and then nothing" if !$e->{event};
        push @texts, from_json($e->{data})->{content}
            if $e->{event} eq 'new_message';
    }

    return join ' ', @texts;
}


sub users {
    my ($http) = @_;

    my $api = Chat::API->new(http => $http);
    my $res = $api->get('channels/presence-room/users');

    return join ' ', sort map { $_->{id} } @{ from_json($res->{body})->{users} };
}


my $old_master = $server->master_pid;
my @old = $server->worker_pids;
my $old_ws = member_on('old', @old);

post(http_on($port, @old), 'before');
is(heard($old_ws, 1), 'before', 'a subscriber hears');

my ($new_master, @new) = upgrade($server);
my %http = (old => http_on($port, @old), new => http_on($port, @new));
my $new_ws = member_on('new', @new);

for my $name (qw(old new)) {
    ok(wait_for(10, sub { users($http{$name}) eq 'new old' }),
       "the $name one has both members");
}

post($http{$_ % 2 ? 'old' : 'new'}, "both-$_") for 1 .. 6;

my $all = join ' ', map { "both-$_" } 1 .. 6;

is(heard($old_ws, 6), $all, "the old one's subscriber hears both");
is(heard($new_ws, 6), $all, "the new one's subscriber hears both");

is(join(' ', map { $_->{content} } @{ $http{new}->history('/messages') }),
   "@posted", 'the database has each message once');


# ---- the old one leaves

$http{old}->close;
kill 'WINCH', $old_master;
is($old_ws->wait_close(20), 4200, "the old one's subscriber is told 4200");
old_ends($server, $new_master);

ok(wait_for(10, sub { users($http{new}) eq 'new' }),
   'its member is gone when it is');
post($http{new}, 'after');
is(heard($new_ws, 1), 'after', 'the new one goes on');
is(join(' ', map { $_->{content} } @{ $http{new}->history('/messages') }),
   "@posted", 'the database has each message once');

new_ends($server);

done_testing();
