#!/usr/bin/perl

# A node that is cut off from its cluster: after isolate its clients are sent to
# the other nodes, which have dropped its members, and a balancer is told.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Cluster;
use Chat::HTTP qw(from_json);
use Chat::Pusher qw(subscribe_to);
use Chat::Server qw(wait_for);
use Chat::WebSocket;

my $cluster = Chat::Cluster->new(
    cluster => 'lease=5s isolate=5s; chat_drain 1s');

$cluster->server('b')->expect_log(
    qr/chat cluster: .*(?:connect|refused|reset|closed|answer)/i,
    qr/chat cluster: this node was not in the cluster for 5000ms, clients are /,
    qr/chat cluster: the others have taken this node for dead/);


sub status {
    my ($node) = @_;

    return from_json($cluster->http($node)->get('/chat_status')->{body});
}


sub health {
    my ($node) = @_;

    my $res = $cluster->http($node)->get('/chat_status?format=health');

    return "$res->{status} $res->{body}";
}


sub nodes { return join ' ', sort map { $_->{node} } @{ $_[0]{cluster}{nodes} } }


# ---- both are in the cluster

ok(wait_for(10, sub { nodes(status('a')) eq 'a b' }),
   'node a knows both nodes');
is(health($_), "200 ok\n", "node $_ is healthy") for $cluster->names;
is($cluster->post('a', 'text')->{status}, 201, 'it has a message');

{
    my $c = status('a')->{cluster};

    is("$c->{node} $c->{joined} $c->{isolated} $c->{away_milliseconds}",
       'a 1 0 0', 'what the status says of it');
    is("$c->{term} $c->{applied} $c->{log_lost} $c->{log_trimmed}", '1 1 0 0',
       'and of the log');
    like($cluster->http('a')->get('/chat_status?format=prometheus')->{body},
         qr/^ngx_chat_cluster_joined\ 1\n(?s:.*)
            ^ngx_chat_cluster_nodes\ 2\n(?s:.*)
            ^ngx_chat_cluster_applied_total\ 1\n/mx, 'Prometheus has it');
}


# ---- one is cut off

my %ws = map { $_ => $cluster->node($_)->ws } $cluster->names;
my ($other) = $cluster->node('b')->ws;

subscribe_to($_, 'chat') for values %ws;

$cluster->proxy('b')->tell('refuse');

is($_->wait_close(30), 4200, 'its clients are told to reconnect')
    for $ws{b}, $other;
is(health('b'), "503 isolated\n", 'a balancer is told');
is(Chat::WebSocket->new(port => $cluster->node('b')->port)->wait_close, 4100,
   'newcomers are refused');

{
    my $s = status('b');

    is("$s->{cluster}{joined} $s->{cluster}{isolated} $s->{cluster}{term}",
       '0 1 0', 'the status says so');
    isnt($s->{cluster}{away_milliseconds}, 0, 'and for how long');
    is($s->{connections_closed_by_reason}{isolated}, 2, 'and why they were sent'
                                                        . ' away');
}

ok(wait_for(20, sub { nodes(status('a')) eq 'a' }), 'node a knows one node');
is(health('a'), "200 ok\n", 'it is healthy');
is($cluster->post('a', 'meanwhile')->{status}, 201, 'and goes on');


# ---- and is back

$cluster->proxy('b')->tell('pass');
ok(wait_for(20, sub { health('b') eq "200 ok\n" }), 'it comes back by itself');
ok(wait_for(10, sub { nodes(status('a')) eq 'a b' }),
   'node a knows both nodes again');
$ws{b} = $cluster->node('b')->ws;
subscribe_to($ws{b}, 'chat');
is($cluster->post('b', 'back')->{status}, 201, 'it takes messages');
$cluster->same_history('at the end');
$cluster->has_each_once('at the end', qw(text meanwhile back));


$cluster->finish;

done_testing();
