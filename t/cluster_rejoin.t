#!/usr/bin/perl

# A node that joins again: when its connection was cut, when another nginx has
# begun a term and died, when its database was put back, or takes nothing.  It
# takes nothing before it has all, and shows no history with a hole.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time);

use Chat::API;
use Chat::Cluster;
use Chat::Failpoints qw(arm prepare);
use Chat::HTTP qw(from_json);
use Chat::Locker;
use Chat::Pusher qw(join_presence);
use Chat::Server qw(wait_for);


sub quietly {
    my ($cluster, @more) = @_;

    $cluster->server($_)->expect_log(
        qr/chat cluster: (?:term|the engine|.*no answer|127)/,
        qr/\[crit\].* chat cluster: /, @more) for $cluster->names;

    return $cluster;
}


# ---- the connection by which the log is read is cut, and no other

{
    my $cluster = quietly(Chat::Cluster->new(nodes => [ 'a' ]));
    my (%n, $cut);

    for my $i (1 .. 60) {
        for (split /\n/, $cluster->engine->command(qw(CLIENT LIST))) {
            my ($id) = /^id=(\d+).* cmd=xread/ or next;

            $cut += $cluster->engine->command(qw(CLIENT KILL ID), $id);
        }

        $n{ $cluster->post('a', "message $i")->{status} }++;
    }

    cmp_ok($cut, '>', 10, 'the way out of the log is cut again and again');
    is_deeply(\%n, { 201 => 60 }, 'each message is taken all the same');
    $cluster->has_each_once('at the end', map { "message $_" } 1 .. 60);
    $cluster->finish;
}


# ---- a term has begun, and who began it died before it gave what was lost

{
    my $cluster = quietly(Chat::Cluster->new(timeout => { b => '5s' }));
    my $engine = $cluster->engine;
    my @only = map { "only a $_" } 1 .. 5;

    is($cluster->post('a', 'before')->{status}, 201, 'both nodes are there');
    $cluster->same_history('at first');
    $cluster->proxy('b')->tell('refuse');
    is($cluster->post('a', $_)->{status}, 201, "$_ has it") for @only;
    $cluster->server('a')->kill_all;

    # as scripts/term.lua leaves it
    my %meta = @{ $engine->command('HGETALL', '{chat}:meta') };

    $engine->command('FLUSHALL');
    $engine->command('HSET', '{chat}:meta', %meta, term => 2,
                     first => $meta{seq}, nonce => '0123456789abcdef',
                     start => '0123456789abcdef', epoch => 'f' x 32,
                     from_term => 1, from_seq => $meta{seq},
                     from_nonce => $meta{nonce}, offered => 0);

    $cluster->proxy('b')->tell('pass');
    ok(wait_for(20, sub {
        $cluster->server('b')->error_log =~ /no node has given it again yet/;
    }), 'the other one waits for what was lost');
    is($cluster->post('b', 'too soon')->{status}, 503, 'and takes nothing');

    $cluster->server('a')->start;
    $cluster->connect('a');

    for my $node ($cluster->names) {
        ok(wait_for(40, sub {
            $cluster->post($node, "after $node")->{status} == 201;
        }), "then node $node takes messages");
    }

    $cluster->same_history('at the end');
    $cluster->has_each_once('at the end', 'before', @only);
    $cluster->finish;
}


# ---- the same where it had seen more than it had stored: events are not

{
    local %ENV = %ENV;

    prepare();

    my $cluster = quietly(Chat::Cluster->new(workers => 1,
                                             main => 'env CHAT_FAILPOINTS;'));
    my $server = $cluster->server('a');
    my $api = Chat::API->new(port => $cluster->node('a')->port);

    is($cluster->post('a', 'before')->{status}, 201, 'both nodes are there');
    $cluster->same_history('at first');
    $cluster->proxy('b')->tell('refuse');

    my @refused = grep {
        $api->trigger({ name => 'tick', channel => 'chat', data => 'x' })
            ->{status} != 200
    } 1 .. 5;

    is(scalar @refused, 0, 'one sees some events more');

    # nobody takes the place of its worker
    my ($worker) = $server->worker_pids;

    kill 'STOP', $server->master_pid;
    arm('back offered' => 1);
    $cluster->engine->command('FLUSHALL');
    ok(wait_for(20, sub { !Chat::Server::is_alive($worker) }),
       'it begins a term, and dies');
    $server->kill_all;
    arm();

    $server->start;
    $cluster->connect('a');
    $cluster->proxy('b')->tell('pass');

    for my $node ($cluster->names) {
        ok(wait_for(40, sub {
            $cluster->post($node, "after $node")->{status} == 201;
        }), "then node $node takes messages");
    }

    $cluster->same_history('at the end');
    $cluster->finish;
}


# ---- two nodes have seen more than who began the term, and not the same

{
    my $cluster = quietly(Chat::Cluster->new(nodes => [qw(a b c)]));
    my @more = map { "message $_" } 1 .. 5;

    is($cluster->post('a', 'before')->{status}, 201, 'three nodes are there');
    $cluster->same_history('at first');
    $cluster->proxy('c')->tell('refuse');
    is($cluster->post('a', $_)->{status}, 201, "two have $_") for @more[0 .. 2];
    is(scalar @{ $cluster->history('b') }, 4, 'both');
    $cluster->proxy('b')->tell('refuse');
    is($cluster->post('a', $_)->{status}, 201, "one has $_") for @more[3, 4];
    $cluster->proxy('a')->tell('refuse');

    $cluster->engine->command('FLUSHALL');

    for my $node (qw(c b a)) {
        $cluster->proxy($node)->tell('pass');
        ok(wait_for(40, sub {
            $cluster->post($node, "after $node")->{status} == 201;
        }), "node $node takes messages");
    }

    $cluster->same_history('at the end');
    $cluster->has_each_once('at the end', 'before', @more);
    $cluster->finish;
}


# ---- while a database that was put back is filled

{
    my $cluster = quietly(Chat::Cluster->new,
                          qr/removed or replaced under the running server/,
                          qr/another file was put in place/);
    my $server = $cluster->server('b');
    my $http = $cluster->http('b');
    my $n = 1500;
    my $old = $server->dir . '/old';
    my (%seen, $last);

    $cluster->post('a', 'message 0');
    $cluster->same_history('at first');
    system('sqlite3', '-cmd', '.timeout 10000', $server->database,
           "VACUUM INTO '$old'") == 0 or die 'sqlite3';

    my @refused = grep { $cluster->post('a', "message $_")->{status} != 201 }
                  1 .. $n;

    is(@refused, 0, 'many messages');
    rename $old, $server->database or die "rename: $!";

    # until it has found and filled the file
    my $end = time() + 30;

    while (time() < $end) {
        my $res = $http->get('/messages?limit=1');
        my $newest = $res->{status} == 200
                     ? from_json($res->{body})->[0]{content} : 'none';

        $seen{"$res->{status} $newest"}++;
        last if $res->{status} == 200 && $server->error_log =~ /another file/;
    }

    is(join(', ', grep { $_ ne "200 message $n" && $_ ne '503 none' }
            sort keys %seen), '', 'no page lacks the newest messages');
    $cluster->same_history('at the end');
    $cluster->finish;
}


# ---- a node that can't come back, as its database takes nothing

{
    my $cluster = quietly(Chat::Cluster->new(
        cluster => 'lease=1m isolate=6s; chat_drain 1s'),
        qr/database is locked/);
    my $api = Chat::API->new(port => $cluster->node('a')->port);
    my $users = sub {
        my $res = $api->get('channels/presence-room/users');

        return join ' ', map { $_->{id} } @{ from_json($res->{body})->{users} };
    };

    my $ws = $cluster->node('b')->ws;

    join_presence($ws, 'presence-room', 'one');
    ok(wait_for(10, sub { $users->() eq 'one' }), 'node a knows its member');

    my $locker = Chat::Locker->new($cluster->server('b')->database);

    $locker->lock;
    is($cluster->post('a', 'message')->{status}, 201, 'the other one goes on');

    is($ws->wait_close(60), 4200, 'its client is sent away');
    ok(wait_for(30, sub { $users->() eq '' }),
       'its member is gone, though its lease was kept');
    $locker->unlock;
    $locker->finish;
    $cluster->works('at the end', {});
    $cluster->finish;
}


done_testing();
