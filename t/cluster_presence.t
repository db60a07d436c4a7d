#!/usr/bin/perl

# Several nodes as one: members, numbers of subscriptions, channels, who is
# online; and what is left of a node that dies.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use Chat::API;
use Chat::Cluster;
use Chat::HTTP qw(from_json);
use Chat::Pusher qw(join_presence subscribe_to signin);
use Chat::Server qw(wait_for);

my $cluster = Chat::Cluster->new(cluster => 'lease=8s',
    app => 'client_events on; subscription_count on; watchlist on;');
my %api = map { $_ => Chat::API->new(port => $cluster->node($_)->port) }
          $cluster->names;

$cluster->server($_)->expect_log(qr/chat cluster: /) for $cluster->names;


sub ws { return $cluster->node($_[0])->ws }


# What a node says of a path, until it is as it should be.

sub is_told {
    my ($node, $what, $want, $name) = @_;

    my ($path, $query) = ref $what ? @$what : $what;

    my $got;

    wait_for(20, sub {
        $got = from_json($api{$node}->get($path, $query)->{body});
        $got->{users} = [ sort map { $_->{id} } @{ $got->{users} } ]
            if $got->{users};
        return is_same($got, $want);
    });

    is_deeply($got, $want, "$name: node $node");
}


sub is_same {
    my ($got, $want) = @_;

    my $json = JSON::PP->new->canonical;

    return $json->encode($got) eq $json->encode($want);
}


sub users {
    my ($presence) = @_;

    return join ' ', sort @{ $presence->{ids} };
}


# ---- members

{
    my $ann = ws('a');
    my $told = join_presence($ann, 'presence-room', 'ann');

    is(users($told), 'ann', 'Ann joins on node a');

    my $bob = ws('b');
    is(users(join_presence($bob, 'presence-room', 'bob')), 'ann bob',
       'Bob joins on node b, and is shown both');

    my $event = $ann->next_event;
    is("$event->{event} " . from_json($event->{data})->{user_id},
       'pusher_internal:member_added bob', 'Ann is told');

    my $again = ws('b');
    is(users(join_presence($again, 'presence-room', 'ann')), 'ann bob',
       'Ann joins on node b as well');
    $again->disconnect;

    for my $node ($cluster->names) {
        is_told($node, 'channels/presence-room/users',
                { users => [qw(ann bob)] }, 'users');
        is_told($node, [ 'channels', [ filter_by_prefix => 'presence-',
                                            info => 'user_count' ] ],
                { channels => { 'presence-room' => { user_count => 2 } } },
                'channels');
    }

    $ann->disconnect;

    $event = $bob->next_event;
    is("$event->{event} " . from_json($event->{data})->{user_id},
       'pusher_internal:member_removed ann', 'Ann has left both nodes');

    is_told($_, 'channels/presence-room/users', { users => ['bob'] },
            'without Ann') for $cluster->names;
}


# ---- numbers

{
    my @ws = map { ws($_) } qw(a a b);
    subscribe_to($_, 'counted') for @ws;

    is_told($_, [ 'channels/counted',
                  [ info => 'subscription_count' ] ],
            { occupied => JSON::PP::true, subscription_count => 3 },
            'a number') for $cluster->names;

    my $last;

    wait_for(10, sub {
        my $event = $ws[2]->next_event;
        $last = from_json($event->{data})->{subscription_count};
        return $last == 3;
    });

    is($last, 3, 'a subscriber is told the number of both');
}

is_told($_, 'channels', { channels => {} }, 'nothing is left')
    for $cluster->names;


# ---- who is online

{
    my $watcher = ws('a');
    signin($watcher, { id => 'w', watchlist => ['x'] });
    is_deeply(from_json($watcher->next_event->{data})->{events},
              [ { name => 'offline', user_ids => ['x'] } ], 'x is offline');

    my $x = ws('b');
    signin($x, { id => 'x' });
    is_deeply(from_json($watcher->next_event->{data})->{events},
              [ { name => 'online', user_ids => ['x'] } ],
              'x signs in on the other node');

    $x->disconnect;
    is_deeply(from_json($watcher->next_event->{data})->{events},
              [ { name => 'offline', user_ids => ['x'] } ], 'and leaves');
}


# ---- a node dies, and one that is new

{
    my $ann = ws('a');
    my $bob = ws('b');

    join_presence($ann, 'presence-room', 'ann');
    join_presence($bob, 'presence-room', 'bob');
    $ann->next_event;

    $cluster->add('c');
    $api{c} = Chat::API->new(port => $cluster->node('c')->port);
    $cluster->server('c')->expect_log(qr/chat cluster: /);

    is_told('c', 'channels/presence-room/users',
            { users => [qw(ann bob)] },
            'a node that comes later');

    $cluster->server('b')->kill_all;

    my $event = $ann->next_event(30);
    is("$event->{event} " . from_json($event->{data})->{user_id},
       'pusher_internal:member_removed bob', 'the members of a dead node go');
    is_told($_, 'channels/presence-room/users', { users => ['ann'] },
            'without the dead node') for qw(a c);

    $cluster->server('b')->start;
    $api{b} = Chat::API->new(port => $cluster->node('b')->port);
    is_told('b', 'channels/presence-room/users', { users => ['ann'] },
            'the dead node is back');
}


# ---- the engine forgets all

{
    my $ann = ws('a');
    join_presence($ann, 'presence-kept', 'ann');

    $cluster->engine->command('FLUSHALL');

    is($ann->wait_close(20), 4200, 'clients are told to come back');

    $ann = ws('a');
    join_presence($ann, 'presence-kept', 'ann');

    is_told($_, 'channels/presence-kept/users', { users => ['ann'] },
            'behind that') for qw(a b c);
}


# ---- max_connections is the cluster's

{
    my $most = Chat::Cluster->new(cluster => 'lease=2s',
                                  app => 'max_connections 3;');
    my $connect = sub {
        my ($node) = @_;

        return Chat::WebSocket->new(port => $most->node($node)->port);
    };

    # the code that the next connection of a node is refused with
    my $refused = sub {
        my ($node, $code) = @_;

        my $got = '';

        wait_for(20, sub {
            my $ws = $connect->($node);
            my $event = $ws->next_event->{event};

            $got = $event eq 'pusher:error' ? $ws->wait_close : $event;
            $ws->disconnect;

            return $got eq $code;
        });

        return $got;
    };

    my @a = map { $most->node('a')->ws } 1, 2;
    my $b = $most->node('b')->ws;

    is($refused->('b', 4100), 4100, 'as many as all may have: 4100');
    is($refused->('a', 4100), 4100, 'on each node');

    (pop @a)->disconnect;
    is($refused->('b', 'pusher:connection_established'),
       'pusher:connection_established', 'one has left');
    $b->disconnect;
    wait_for(20, sub {
        push @a, eval { $most->node('a')->ws } // return 0;

        return @a == 3;
    });
    is($refused->('a', 4004), 4004, 'as many as a node may have alone: 4004');
    is($refused->('b', 4100), 4100, 'and none on the other node');

    $most->server('a')->kill_all;
    is($refused->('b', 'pusher:connection_established'),
       'pusher:connection_established', 'those of a dead node do not count');
    $most->finish;
}


$cluster->finish;


# ---- one of two who were cut off is gone, the other one stays

{
    my $held = Chat::Cluster->new(app => 'subscription_count on;',
                                  grace => '10m');

    # of node b: no proxy, forked later, has a copy of its connections

    my $kept = $held->node('b')->ws;
    join_presence($kept, 'presence-room', 'kept');
    $held->node('b')->close_all($kept);

    # from now on the time is shorter, so that only the next one goes

    $held->server('b')->write_conf(grace => '1s');
    $held->server('b')->reload;
    $held->connect('b');
    $held->node('b')->{http} = $held->http('b');

    %api = map { $_ => Chat::API->new(port => $held->node($_)->port) }
           $held->names;

    my $ann = $held->node('b')->ws;
    join_presence($ann, 'presence-room', 'ann');
    $held->node('b')->close_all($ann);

    is_told($_, [ 'channels/presence-room',
                  [ info => 'user_count,subscription_count' ] ],
            { occupied => JSON::PP::true, user_count => 1,
              subscription_count => 1 },
            'without her') for $held->names;

    $held->finish;
}

done_testing();
