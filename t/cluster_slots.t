#!/usr/bin/perl

# Redis Cluster: the nodes are given a member that does not have their keys, and
# the keys move from one member to another under load.  What got a 201 is on
# each node once; what got a 503 on none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Cluster;
use Chat::Engine;
use Chat::Server qw(free_port wait_for);


# The ports of a member's bus are not those that Redis would make of its own.

sub member {
    my $bus = free_port();

    my $member = Chat::Engine->new(conf => <<"END");
cluster-enabled yes
cluster-config-file nodes.conf
cluster-node-timeout 5000
cluster-port $bus
cluster-announce-ip 127.0.0.1
END

    return ($member, $bus);
}


sub is_whole {
    my ($member) = @_;

    my $info = $member->command(qw(CLUSTER INFO));

    return $info =~ /cluster_state:ok/ && $info =~ /cluster_known_nodes:2/;
}


my ($one, $bus_one) = member();
my ($two, $bus_two) = member();

$one->command(qw(CLUSTER ADDSLOTSRANGE 0 16383));
$two->command(qw(CLUSTER MEET 127.0.0.1), $one->port, $bus_one);

ok(wait_for(30, sub { is_whole($one) && is_whole($two) }),
   'two members are a Redis Cluster');

my %id = map { $_->port => $_->command(qw(CLUSTER MYID)) } $one, $two;
my $slot = $one->command('CLUSTER', 'KEYSLOT', '{chat}:meta');


sub keys_of {
    my ($member) = @_;

    return @{ $member->command(qw(CLUSTER GETKEYSINSLOT), $slot, 1000) };
}


# Some keys by name, or all.  Keys that have gone meanwhile are none.

sub move_keys {
    my ($from, $to, @keys) = @_;

    $from->command('MIGRATE', '127.0.0.1', $to->port, '', 0, 5000, 'KEYS',
                   @keys);

    return;
}


# How often the nodes were refused with what a member says of a slot that moves.

sub refused {
    my ($cluster) = @_;

    my $n = 0;

    $n += () = $cluster->server($_)->error_log
               =~ /chat cluster: .*(?:ASK|TRYAGAIN|MOVED) /g
        for $cluster->names;

    return $n;
}


# ---- the member that does not have the slot

my $cluster = Chat::Cluster->new(engine => $two, url => $two->url,
                                 cluster => 'keep=1000');

$cluster->works('MOVED leads on', {});
ok((grep { $_ eq '{chat}:meta' } keys_of($one)), 'the other member has it');
is(scalar keys_of($two), 0, 'and the one of the URL nothing');


# ---- the slot moves

for my $pair ([ $one, $two ], [ $two, $one ]) {
    my ($from, $to) = @$pair;

    $cluster->load;
    ok(wait_for(20, sub { $cluster->loaded >= 20 }), 'there is load');

    $to->command(qw(CLUSTER SETSLOT), $slot, 'IMPORTING', $id{$from->port});
    $from->command(qw(CLUSTER SETSLOT), $slot, 'MIGRATING', $id{$to->port});

    # a part of the keys is away, and then nearly all of them: a node notices
    # each
    for my $some (qw({chat}:nodes {chat}:meta {chat}:log)) {
        my $refused = refused($cluster);

        move_keys($from, $to, $some);
        ok(wait_for(20, sub { refused($cluster) > $refused }),
           "$some is away, and nodes notice");
    }

    while (my @keys = keys_of($from)) {
        move_keys($from, $to, @keys);
    }

    # who has lost its last slot becomes a replica, and takes this no more
    eval { $_->command(qw(CLUSTER SETSLOT), $slot, 'NODE', $id{$to->port}) }
        for $to, $from;

    # a replica has all keys later on
    my @left = keys_of($from);
    my $before = $cluster->loaded;

    ok(wait_for(30, sub { $cluster->loaded >= $before + 20 }),
       'the load goes on');

    my $got = $cluster->unload;

    note(join(', ', map { "$_: " . @{ $got->{$_} } } sort keys %$got));
    $cluster->works('the slot has moved', $got);
    is(scalar @left, 0, 'nothing is left behind');
}


# ---- the member of the URL is a replica by now

ok(wait_for(20, sub { $two->command('ROLE')->[0] eq 'slave' }),
   'who has no slots becomes a replica');
$one->command(qw(CLIENT KILL TYPE normal));
$cluster->server($_)->restart for $cluster->names;
$cluster->connect($_) for $cluster->names;
$cluster->works('a replica leads on', {});

$cluster->finish;

done_testing();
