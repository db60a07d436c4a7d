#!/usr/bin/perl

# What the engine is set to do.  With replicas a message is acknowledged when as
# many have it; in all other cases nobody knows what came of it: the answer is
# 504, and a key makes it safe to ask again.  A node warns where keys may be
# evicted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Cluster;
use Chat::Engine;
use Chat::Server qw(wait_for);

my $unknown = qr/the engine has not answered, nobody knows what it has: /;


# ---- there is no replica yet, and then there is one

{
    my $cluster = Chat::Cluster->new(nodes => [ 'a' ],
                                     cluster => 'replicas=1', timeout => '2s',
                                     engine => 'repl-diskless-sync-delay 0');
    my $server = $cluster->server('a');
    my %key = ('Idempotency-Key' => 'k');
    my $is_taken = sub {
        my (@message) = @_;

        return wait_for(30, sub { $cluster->post('a', @message)->{status}
                                  == 201 });
    };

    $server->expect_log(qr/$unknown.*fewer replicas than wanted have it/);
    is($cluster->post('a', 'one', %key)->{status}, 504, 'without a replica: 504');

    my $replica = Chat::Engine->new(
        conf => 'replicaof 127.0.0.1 ' . $cluster->engine->port);

    ok(wait_for(20, sub { $replica->command('ROLE')->[3] eq 'connected' }),
       'there is a replica');
    ok($is_taken->('one', %key), 'asked again: 201');
    $cluster->has_each_once('behind a 504', 'one');

    $replica->signal('STOP');
    is($cluster->post('a', 'two')->{status}, 504, 'a replica that stands: 504');
    $cluster->proxy('a')->tell('answers 9');
    is($cluster->post('a', 'three')->{status}, 504,
       'the same where the answer is lost, and another connection waits');
    $replica->signal('CONT');
    ok($is_taken->('four', 'Idempotency-Key' => 'l'), 'it goes on: 201');
    $cluster->has_each_once('at the end', qw(one two three four));
    $cluster->finish;
}


# ---- the engine refuses to wait

{
    my $cluster = Chat::Cluster->new(nodes => [ 'a' ],
                                     cluster => 'replicas=1', timeout => '5s',
                                     engine => 'rename-command WAIT ""');

    $cluster->server('a')->expect_log(qr/$unknown.*ERR unknown command/);
    is($cluster->post('a', 'one')->{status}, 504,
       'WAIT is refused, and the message may be there: 504');
    $cluster->has_each_once('it is there', 'one');
    $cluster->finish;
}


# ---- settings of the engine that are wrong

for my $policy (qw(noeviction allkeys-lru)) {
    my $cluster = Chat::Cluster->new(nodes => [ 'a' ],
        engine => "maxmemory 100mb\nmaxmemory-policy $policy");
    my $server = $cluster->server('a');
    my $warns = qr/the engine may drop the log when its memory is full/;

    is($cluster->post('a', 'one')->{status}, 201, "$policy: it works");

    if ($policy eq 'noeviction') {
        unlike($server->error_log, $warns, 'all is well');
    } else {
        like($server->error_log, $warns, 'a node warns');
    }

    $cluster->finish;
}


done_testing();
