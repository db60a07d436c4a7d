#!/usr/bin/perl

# The primary fails over, under load: sentinels do it, or people by hand.  The
# nodes find the new one.  What got a 201 is on each node once; what got a 503
# on none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Cluster;
use Chat::Engine;
use Chat::Server qw(free_port wait_for);

my $fast = "repl-diskless-sync-delay 0\n";


sub replica_of {
    my ($primary) = @_;

    my $replica = Chat::Engine->new(
        conf => "${fast}replicaof 127.0.0.1 " . $primary->port);

    ok(wait_for(20, sub { $replica->command('ROLE')->[3] eq 'connected' }),
       'there is a replica');

    return $replica;
}


sub sentinel_of {
    my ($primary) = @_;

    return Chat::Engine->new(sentinel => 1, conf => <<"END");
sentinel monitor mymaster 127.0.0.1 @{[ $primary->port ]} 1
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 3000
END
}


# The port that a sentinel names.

sub named {
    my ($sentinel) = @_;

    return $sentinel->command(qw(SENTINEL get-master-addr-by-name mymaster))
           ->[1];
}


sub cluster {
    my ($primary, $url, $parameters, %more) = @_;

    my $cluster = Chat::Cluster->new(engine => $primary, url => $url,
                                     cluster => $parameters, %more);

    # a node may have seen what the replica had not, and nobody has acknowledged
    $cluster->server($_)->expect_log(
        qr/chat cluster: the engine has lost the end of the log/,
        qr/chat cluster: term \d+ begins behind/) for $cluster->names;

    return $cluster;
}


# Posts to all nodes, meanwhile something happens, then the load goes on until
# so many more are acknowledged.  It returns what came of all.

sub under_load {
    my ($cluster, $more, $what) = @_;

    $cluster->load;
    ok(wait_for(20, sub { $cluster->loaded >= 20 }), 'there is load');
    $what->();

    my $before = $cluster->loaded;

    ok(wait_for(60, sub { $cluster->loaded >= $before + $more }),
       'the load goes on');

    my $got = $cluster->unload;

    note(join(', ', map { "$_: " . @{ $got->{$_} } } sort keys %$got));

    return $got;
}


# ---- sentinels, and a replica that has all that was acknowledged

{
    my $primary = Chat::Engine->new(conf => $fast);
    my $replica = replica_of($primary);
    my $sentinel = sentinel_of($primary);
    my $dead = free_port();

    ok(wait_for(20, sub {
        my $known = $sentinel->command(qw(SENTINEL REPLICAS mymaster));

        return @$known == 1
               && { @{ $known->[0] } }->{'master-link-status'} eq 'ok';
    }), 'the sentinel knows the replica');

    my $cluster = cluster($primary, "sentinel://127.0.0.1:$dead,127.0.0.1:"
                                    . $sentinel->port . '/mymaster',
                          'replicas=1');
    my $old;

    $cluster->works('one of two sentinels is dead', {});

    my $got = under_load($cluster, 20, sub {
        $primary->kill_hard;
        ok(wait_for(30, sub { named($sentinel) == $replica->port }),
           'the sentinel has failed over');
        $old = replica_of($replica);
    });

    $cluster->works('behind a fail-over', $got);
    $cluster->finish;
}


# ---- sentinels that are wrong

{
    my $primary = Chat::Engine->new(conf => "${fast}appendonly yes\n"
                                            . 'appendfsync always');
    my $stranger = Chat::Engine->new(
        conf => 'replicaof 127.0.0.1 ' . free_port());
    my @sentinels = map { sentinel_of($_) } $stranger, $primary;

    is(named($sentinels[0]), $stranger->port,
       'a sentinel names what is no primary');

    my $cluster = cluster($primary, 'sentinel://' . join(',',
        map { '127.0.0.1:' . $_->port } @sentinels) . '/mymaster', '',
        timeout => '2s');

    $cluster->works('the second sentinel is right', {});

    # only the wrong one is left, and nothing but it
    $sentinels[1]->kill_hard;
    $primary->kill_hard;

    my %got;

    push @{ $got{$cluster->post($_, "no $_")->{status}} }, "no $_"
        for $cluster->names;
    # 504, where it was sent before the connection's end was seen
    is(join(' ', grep { !/^50[34]$/ } keys %got), '',
       'a wrong sentinel alone: they take nothing');
    ok(wait_for(10, sub {
        $cluster->server('a')->error_log
            =~ /\[crit\].* chat cluster: 127\.0\.0\.1: /;
    }), 'the log says so');

    $primary->start;
    $stranger->command('REPLICAOF', '127.0.0.1', $primary->port);
    ok(wait_for(20, sub { $stranger->command('ROLE')->[3] eq 'connected' }),
       'there is a primary, which nobody names');
    is($cluster->post('a', 'no more')->{status}, 503, 'still 503');
    $stranger->command(qw(REPLICAOF NO ONE));
    push @{ $got{503} }, 'no more';
    $cluster->works('what the sentinel names becomes the primary', \%got);
    $cluster->finish;
}


# ---- plain URLs, and roles that are changed by hand

{
    my $primary = Chat::Engine->new(conf => $fast);
    my $replica = replica_of($primary);
    my $cluster = cluster($primary, $primary->url . ' ' . $replica->url,
                          'replicas=1');

    $cluster->works('two URLs', {});

    for my $pair ([ $primary, $replica ], [ $replica, $primary ]) {
        my ($from, $to) = @$pair;

        my $got = under_load($cluster, 20, sub {
            # as FAILOVER does it: no write is lost meanwhile
            $from->command(qw(CLIENT PAUSE 10000 WRITE));
            ok(wait_for(10, sub {
                $from->command('ROLE')->[2][0][2] == $from->command('ROLE')->[1]
            }), 'the replica has all');
            $to->command(qw(REPLICAOF NO ONE));
            $from->command('REPLICAOF', '127.0.0.1', $to->port);
            $from->command(qw(CLIENT UNPAUSE));
            ok(wait_for(20, sub { $from->command('ROLE')->[3] eq 'connected' }),
               'roles are swapped');
        });

        $cluster->works('behind the swap', $got);
    }

    $cluster->finish;
}


done_testing();
