#!/usr/bin/perl

# A node that is stopped leaves its cluster: its members go at once, and do not
# wait for the end of its lease.  A reload is none of the cluster's business.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::Cluster;
use Chat::HTTP qw(from_json);
use Chat::Pusher qw(join_presence);
use Chat::Server qw(wait_for);

my $cluster = Chat::Cluster->new(cluster => 'lease=5m; chat_drain 1s');
my $api = Chat::API->new(port => $cluster->node('a')->port);


sub users {
    my $res = $api->get('channels/presence-room/users');

    return join ' ', sort map { $_->{id} } @{ from_json($res->{body})->{users} };
}


sub member {
    my ($node, $id) = @_;

    my $ws = $cluster->node($node)->ws;

    join_presence($ws, 'presence-room', $id);

    return $ws;
}


# a worker waits a minute for the first request of a connection
for my $node ($cluster->names) {
    $cluster->node($node)->http->close;
    is($cluster->post($node, 'first')->{status}, 201, "node $node works");
}

my $one = member('a', 'one');
my $incarnations = sub {
    join ' ', sort @{ $cluster->engine->command('HKEYS', '{chat}:nodes') };
};

for my $signal ('QUIT', 'TERM') {
    my $two = member('b', 'two');

    ok(wait_for(10, sub { users() eq 'one two' }), 'node a has both members');

    my $before = $incarnations->();

    $cluster->server('b')->reload;
    is($two->wait_close(20), 4200, 'a reload: its client is told to reconnect');
    is($incarnations->(), $before, 'and it is the same node');
    $two = member('b', 'two');
    ok(wait_for(10, sub { users() eq 'one two' }), 'and has its member');

    if ($signal eq 'TERM') {
        $cluster->server('b')->terminate(60);
    } else {
        kill $signal, $cluster->server('b')->master_pid;
    }

    is($two->wait_close(20), 4200, "$signal: its client is told to reconnect");
    $cluster->server('b')->reap_master(60) if $signal ne 'TERM';
    ok(wait_for(20, sub { users() eq 'one' }),
       "$signal: its member is gone long before its lease is over");
    is(scalar(split / /, $incarnations->()), 1, 'and so is the node');

    $cluster->server('b')->start;
    $cluster->connect('b');
    is($cluster->post('b', $signal)->{status}, 201, 'it is back');
}


# ---- the engine hangs: nginx ends all the same.  (With TERM its master kills a
# worker whose thread still waits.)

$cluster->engine->signal('STOP');
$cluster->server('b')->stop('QUIT');
ok(!$cluster->server('b')->{pid}, 'a node ends, though the engine hangs');
$cluster->engine->signal('CONT');

$cluster->finish;

done_testing();
